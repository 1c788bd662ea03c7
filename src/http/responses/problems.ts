import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, asAppError, type ErrorCode, familyOf } from '../../errors.ts';
import { redactSecrets } from '../../model/redact-url.ts';
import { drainBody } from '../bodies/drain-body.ts';
import { maxBodyBytes } from '../bodies/json-body.ts';
import type { NameMissingRoute } from './missing-routes.ts';
import { unsupportedBody } from '../bodies/body-type.ts';

/** After an early refusal the rest of the body is read for this long. */
const drainMs = 1_500;

/** Fastify's own errors, as errors that Vitrine names. */
const frameworkCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
};

/** What Fastify says without the limit, or with all of a long address in it, in our words. */
const frameworkSentences: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'The address cannot be decoded: its percent signs do not spell UTF-8.',
  FST_ERR_MAX_PARAM_LENGTH: 'A part of the address is longer than anything that it could name.',
};

/**
 * Answers every error as `application/problem+json`; the only place where an error is put on the wire. Existing routes,
 * such as those of plugins, keep Fastify's default handler, so register this first.
 */
export function answerErrorsAsProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, nameError(request, error)));
}

/** Handles requests without a matching route. Hooks that should run for these must be registered earlier. */
export function answerMissingRoutes(app: FastifyInstance, nameMissingRoute: NameMissingRoute): void {
  const answerMissing = (request: FastifyRequest, reply: FastifyReply) => {
    const { error, allow } = nameMissingRoute(request.method, request.url);
    if (allow.length > 0) void reply.header('allow', allow.join(', '));
    return sendProblem(request, reply, error);
  };
  // In the first hook already: a body that nobody asked for is not parsed, and cannot be refused for its type.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    await answerMissing(request, reply);
    return reply;
  });
  app.setNotFoundHandler(answerMissing);
}

/** Answers what Fastify refuses before any route is found, such as an address that cannot be decoded. */
export function answerFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendProblem(request, reply, nameError(request, error));
}

async function sendProblem(request: FastifyRequest, reply: FastifyReply, error: AppError): Promise<void> {
  if (error.status >= 500) {
    request.log.error(
      { err: error.cause ?? error, method: request.method, path: request.routeOptions.url },
      error.message,
    );
  } else logRefusal(request, error);
  const drained = await drainBody(request.raw, drainMs);
  // The `onResponse` hook closes the connection.
  if (!drained) void reply.header('connection', 'close');
  if (isOverSoon(error)) void reply.header('retry-after', '2');
  void reply
    .code(error.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    // What is refused before any route is found meets no hook.
    .header('x-content-type-options', 'nosniff')
    .send(JSON.stringify(problemOf(error)));
}

/** Whether the same request, sent again in a moment, is likely to succeed. */
function isOverSoon({ status, code }: AppError): boolean {
  return status === 503 || status === 429 || code === 'image_deleted';
}

/** Why was the supplier's upload refused at three? The log has to know. */
function logRefusal(request: FastifyRequest, { status, code, message, cause }: AppError): void {
  const reason = cause instanceof Error ? cause.message : undefined;
  request.log.info(
    { status, code, method: request.method, path: request.routeOptions.url, reason },
    `refused: ${message}`,
  );
}

/** The body of an answer, after RFC 9457. */
export function problemOf(error: AppError): Record<string, unknown> {
  const family = familyOf(error.code);
  return {
    type: `urn:vitrine:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: redactSecrets(error.message),
    code: error.code,
    ...(family && { family }),
    ...error.details,
  };
}

function nameError(request: FastifyRequest, error: unknown): AppError {
  if (error instanceof AppError) return error;
  return nameBodyError(request, error) ?? nameFrameworkError(error) ?? asAppError(error);
}

/** Fastify says neither how large a body is, nor which types a call takes. */
function nameBodyError(request: FastifyRequest, error: unknown): AppError | undefined {
  const { code } = error as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return unsupportedBody(request);
  if (code !== 'FST_ERR_CTP_BODY_TOO_LARGE') return undefined;
  const bytes = request.headers['content-length'];
  const size = bytes === undefined ? 'is too large' : `has ${bytes} bytes`;
  const sentence = `The body ${size}; the limit is ${maxBodyBytes} bytes (${maxBodyBytes / 2 ** 20} MiB).`;
  return new AppError('body_too_large', sentence, { cause: error });
}

function nameFrameworkError(error: unknown): AppError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode, message } = error as FastifyError;
  const sentence = frameworkSentences[code] ?? message.replace(/\.?$/, '.');
  const named = frameworkCodes[code];
  if (named) return new AppError(named, sentence, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', sentence, { cause: error });
  }
  return undefined;
}
