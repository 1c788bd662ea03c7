import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors.ts';
import { parseRenditionName } from '../../model/rendition-address.ts';
import type { PresetsInForce } from '../../services/presets-in-force.ts';
import { sendProblem, toAppError } from '../responses/problems.ts';
import type { HttpConfig } from '../route-plugin.ts';
import { makePlaceholders } from './placeholder.ts';

/** `max-age` of errors, in seconds: `transient` if a retry may soon succeed. */
const errorSeconds = { transient: 10, permanent: 60 };

/** Box of the placeholder if the URL contains no known preset. */
const defaultBox = { width: 1, height: 1 };

/**
 * Sends the errors of the routes that are added to `app` after this call. Caches keep them briefly, so that a page with a
 * missing image does not reach the server on every view. With `PLACEHOLDER=grey`, the body is an image.
 */
export function handleDeliveryErrors(
  app: FastifyInstance,
  presets: PresetsInForce,
  { placeholder }: HttpConfig['delivery'],
): void {
  const makePlaceholder = makePlaceholders();
  app.setErrorHandler((cause, request, reply) => {
    // The client has disconnected, which is why its load was aborted.
    if (reply.raw.destroyed) {
      reply.hijack();
      return;
    }
    const error = toDeliveryError(toAppError(request, cause));
    const { file = '' } = request.params as { file?: string };
    const name = parseRenditionName(file);
    if (isNegotiated(file)) void reply.header('vary', 'Accept');
    if (placeholder === 'grey')
      void reply.headers({ 'vitrine-placeholder': 'true', 'vitrine-error': error.code });
    const box = presets.find(name?.preset ?? '') ?? defaultBox;
    void sendProblem(request, reply, error, {
      cacheControl: cacheControlFor(error),
      picture: placeholder === 'grey' ? makePlaceholder(box) : undefined,
    });
  });
}

/** Whether the format of a response depends on `Accept`. */
export function isNegotiated(file: string): boolean {
  return !file.includes('.');
}

/** A preset is part of the path here, so an unknown one is a path that does not exist. */
function toDeliveryError(error: AppError): AppError {
  return error.code === 'unknown_preset'
    ? new AppError('unknown_variant', error.message, { cause: error })
    : error;
}

function cacheControlFor({ status, failureClass, retryAfterSeconds }: AppError): string {
  const dependsOnCaller = status === 401 || status === 403 || status === 421;
  if (dependsOnCaller || status >= 429 || retryAfterSeconds !== undefined) return 'no-store';
  return `public, max-age=${errorSeconds[failureClass === 'permanent' ? 'permanent' : 'transient']}`;
}
