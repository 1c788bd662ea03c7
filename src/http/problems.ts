import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { AppError, asAppError, type ErrorCode } from '../errors.ts';
import { drainBody } from './drain-body.ts';

/** After an early refusal the rest of the body is read for this long. */
const drainMs = 1_500;

/** After the answer, a client that still sends has this long before its connection is closed. */
const lingerMs = 500;

/** Fastify's own errors, as errors that Vitrine names. */
const frameworkCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_body',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_VALIDATION: 'invalid_request',
};

/** Answers every error as `application/problem+json`; the only place where an error is put on the wire. */
export function answerErrorsAsProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, nameError(error)));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      new AppError(
        'route_not_found',
        `There is nothing at ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}.`,
      ),
    ),
  );
}

/** Answers what Fastify refuses before any route is found, such as an address that cannot be decoded. */
export function answerFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendProblem(request, reply, nameError(error));
}

async function sendProblem(request: FastifyRequest, reply: FastifyReply, error: AppError): Promise<void> {
  if (error.status >= 500) {
    request.log.error(
      { err: error.cause ?? error, method: request.method, path: request.routeOptions.url },
      error.message,
    );
  } else logRefusal(request, error);
  const drained = await drainBody(request.raw, drainMs);
  if (!drained) closeAfterAnswer(request, reply);
  if (error.status === 503) void reply.header('retry-after', '2');
  void reply
    .code(error.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problemOf(error)));
}

/** Why was the supplier's upload refused at three? The log has to know. */
function logRefusal(request: FastifyRequest, { status, code, message }: AppError): void {
  request.log.info(
    { status, code, method: request.method, path: request.routeOptions.url },
    `refused: ${message}`,
  );
}

/** The body of an answer, after RFC 9457. */
export function problemOf(error: AppError): Record<string, unknown> {
  return {
    type: `urn:vitrine:error:${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.message,
    code: error.code,
  };
}

function closeAfterAnswer(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('connection', 'close');
  reply.raw.once('finish', () => {
    setTimeout(() => request.raw.destroy(), lingerMs).unref();
  });
}

function nameError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where =
      error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request');
    const reasons = error.validation.map(
      ({ instancePath, message }) => `${where}${instancePath}: ${message ?? 'is not valid'}`,
    );
    return new AppError('invalid_request', `${reasons.join('; ')}.`);
  }
  return nameFrameworkError(error) ?? asAppError(error);
}

function nameFrameworkError(error: unknown): AppError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode, message } = error as FastifyError;
  const sentence = message.replace(/\.?$/, '.');
  const named = frameworkCodes[code];
  if (named) return new AppError(named, sentence, { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', sentence, { cause: error });
  }
  return undefined;
}
