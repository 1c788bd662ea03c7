import fastify from 'fastify';
import { expect, test } from 'vitest';
import { AppError, type ErrorCode, errorTable } from '../../src/errors.ts';
import { handleErrors } from '../../src/http/responses/problems.ts';

test('sends Retry-After with temporary errors only', async () => {
  const app = fastify();
  handleErrors(app);
  app.get<{ Params: { code: ErrorCode } }>('/:code', ({ params: { code } }) => {
    throw new AppError(code, 'A sentence.');
  });
  for (const [code, { status, failureClass }] of Object.entries(errorTable)) {
    const { statusCode, headers } = await app.inject(`/${code}`);
    const asks = headers['retry-after'] !== undefined;
    expect({ code, statusCode, asks }).toEqual({
      code,
      statusCode: status,
      asks: status === 503 || status === 429 || code === 'image_deleted',
    });
    if (asks) expect(failureClass).toBe('transient');
  }
});
