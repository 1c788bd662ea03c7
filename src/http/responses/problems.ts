import { Readable } from 'node:stream';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, asAppError, type ErrorCode, errorFamily } from '../../errors.ts';
import { mediaTypes } from '../../model/picture.ts';
import { redactSecrets } from '../../model/redact-url.ts';
import { unsupportedBodyError } from '../bodies/body-type.ts';
import { drainBody, hasSmallBody, lingerAfter } from '../bodies/drain-body.ts';
import { maxBodyBytes } from '../bodies/json-body.ts';
import { sendReplay } from '../guard/idempotency.ts';
import { challengeFor, readKeyId } from '../guard/api-key-header.ts';
import { securityHeaders } from '../guard/security-headers.ts';
import type { ExplainMissingRoute } from './missing-routes.ts';

/** Maximum time to read the rest of a rejected body before the response is sent. */
const drainMs = 1_500;

/** Vitrine's error codes, keyed by Fastify's error codes. */
const frameworkCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
};

/** Messages that replace Fastify's own messages, keyed by Fastify's error codes. */
const frameworkMessages: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'The URL cannot be decoded: its percent-encoding is not valid UTF-8.',
  FST_ERR_MAX_PARAM_LENGTH: 'A segment of the URL path is too long.',
};

/**
 * Sends all errors as `application/problem+json`. Must be called before any route or plugin is registered, because
 * routes that already exist keep Fastify's default error handler.
 */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    if (!sendReplay(reply, error)) void sendProblem(request, reply, toAppError(request, error));
  });
}

/** Handles requests that match no route. Hooks for these requests must be registered before the call. */
export function handleMissingRoutes(app: FastifyInstance, explain: ExplainMissingRoute): void {
  const sendMissingRouteProblem = (request: FastifyRequest, reply: FastifyReply) => {
    const { error, allowedMethods } = explain(request.method, request.url);
    if (allowedMethods.length > 0) void reply.header('allow', allowedMethods.join(', '));
    return sendProblem(request, reply, error);
  };
  // This hook responds before the body is parsed, so an unsupported body does not cause a 415 instead of the 404.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    await sendMissingRouteProblem(request, reply);
    return reply;
  });
  app.setNotFoundHandler(sendMissingRouteProblem);
}

/** Handles errors that Fastify raises before routing, such as a URL that cannot be decoded. */
export function handleFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendProblem(request, reply, toAppError(request, error));
}

/** How an error is sent. */
export interface ProblemForm {
  readonly cacheControl: string;
  /** PNG that is sent instead of the description of the error. */
  readonly picture?: Buffer | undefined;
}

const uncachedJson: ProblemForm = { cacheControl: 'no-store' };

/** Sends an error. */
export async function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  error: AppError,
  form = uncachedJson,
): Promise<void> {
  if (error.code === 'overloaded') {
    sendOverloaded(request, reply, error, form);
    return;
  }
  if (error.status >= 500) {
    request.log.error(
      { err: error.cause ?? error, method: request.method, path: request.routeOptions.url },
      error.message,
    );
  } else logRejection(request, error);
  const isDrained = await drainBody(request.raw, drainMs);
  // The `onResponse` hook of `closeUnreadBodies` closes the connection.
  if (!isDrained) void reply.header('connection', 'close');
  // A hook that knows when the next attempt can succeed has already set the header.
  if (isWorthRetrying(error) && !reply.hasHeader('retry-after'))
    void reply.header('retry-after', retryAfterSeconds(error));
  if (error.status === 401) void reply.header('www-authenticate', challengeFor(request));
  sendBody(reply, error, toBody(error, form), form);
}

function toBody(error: AppError, { picture }: ProblemForm): string | Buffer {
  return picture ?? JSON.stringify(toProblem(error));
}

/**
 * Refuses a request without reading its body. Admission control has logged the refusal, because a line for each one would add
 * to the load.
 */
function sendOverloaded(
  { raw }: FastifyRequest,
  reply: FastifyReply,
  error: AppError,
  form: ProblemForm,
): void {
  const body = toBody(error, form);
  void reply.header('retry-after', retryAfterSeconds(error));
  if (hasSmallBody(raw)) {
    sendBody(reply, error, body, form);
    return;
  }
  void reply.header('connection', 'close').header('content-length', Buffer.byteLength(body));
  sendBody(reply, error, Readable.from(lingerAfter(body, raw)), form);
}

function sendBody(
  reply: FastifyReply,
  error: AppError,
  body: string | Buffer | Readable,
  { cacheControl, picture }: ProblemForm,
): void {
  void reply
    .code(error.status)
    .header('content-type', picture ? mediaTypes.png : 'application/problem+json; charset=utf-8')
    .header('cache-control', cacheControl)
    // For errors that are raised before routing, no `onSend` hook adds these headers.
    .headers(securityHeaders)
    .send(body);
}

/** Returns when to send the request again. Most temporary failures are over in a moment. */
function retryAfterSeconds(error: AppError): number {
  return error.retryAfterSeconds ?? 2;
}

/** Whether the same request is likely to succeed a moment later. */
function isWorthRetrying({ status, code }: AppError): boolean {
  return status === 503 || status === 429 || code === 'image_deleted' || code === 'idempotency_running';
}

/** Logs why a request was rejected, because a client may ask the operator for the reason. */
function logRejection(request: FastifyRequest, { status, code, message, cause }: AppError): void {
  const reason = cause instanceof Error ? cause.message : undefined;
  // They show the operator who uses a key that does not work.
  const sender = status === 401 ? { address: request.ip, keyId: readKeyId(request) } : undefined;
  request.log.info(
    { status, code, method: request.method, path: request.routeOptions.url, reason, ...sender },
    `rejected: ${message}`,
  );
}

/** Converts an error to the body of an error response (RFC 9457). */
export function toProblem(error: AppError): Record<string, unknown> {
  const family = errorFamily(error.code);
  return {
    type: `urn:vitrine:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: redactSecrets(error.message),
    code: error.code,
    ...(family && { family }),
    ...(error.retryAfterSeconds !== undefined && { retry_after: error.retryAfterSeconds }),
    ...error.details,
  };
}

/** Converts what a handler or Fastify has thrown. */
export function toAppError(request: FastifyRequest, error: unknown): AppError {
  if (error instanceof AppError) return error;
  return convertBodyError(request, error) ?? convertFrameworkError(error) ?? asAppError(error);
}

/** Converts Fastify's errors about request bodies. Their messages lack the size limit and the accepted types. */
function convertBodyError(request: FastifyRequest, error: unknown): AppError | undefined {
  const { code } = error as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return unsupportedBodyError(request);
  if (code !== 'FST_ERR_CTP_BODY_TOO_LARGE') return undefined;
  const bytes = request.headers['content-length'];
  const size = bytes === undefined ? 'is too large' : `is ${bytes} bytes`;
  const message = `The body ${size}; the limit is ${maxBodyBytes} bytes (${maxBodyBytes / 2 ** 20} MiB).`;
  return new AppError('body_too_large', message, { cause: error });
}

function convertFrameworkError(error: unknown): AppError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode, message } = error as FastifyError;
  const sentence = frameworkMessages[code] ?? message.replace(/\.?$/, '.');
  const knownCode = frameworkCodes[code];
  if (knownCode) return new AppError(knownCode, sentence, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', sentence, { cause: error });
  }
  return undefined;
}
