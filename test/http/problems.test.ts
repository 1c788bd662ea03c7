import fastify from 'fastify';
import { expect, test } from 'vitest';
import { AppError, type ErrorCode, errorTable } from '../../src/errors.ts';
import { handleErrors } from '../../src/http/responses/problems.ts';

test('sends Retry-After only with temporary errors', async () => {
  const app = fastify();
  handleErrors(app);
  app.get<{ Params: { code: ErrorCode } }>('/:code', ({ params: { code } }) => {
    throw new AppError(code, 'A sentence.');
  });
  for (const [code, { status, failureClass }] of Object.entries(errorTable)) {
    const { statusCode, headers } = await app.inject(`/${code}`);
    const hasRetryAfter = headers['retry-after'] !== undefined;
    expect({ code, statusCode, hasRetryAfter }).toEqual({
      code,
      statusCode: status,
      hasRetryAfter:
        status === 503 || status === 429 || code === 'image_deleted' || code === 'idempotency_running',
    });
    if (hasRetryAfter) expect(failureClass).toBe('transient');
  }
});
