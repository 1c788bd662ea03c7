import { expect, test, vi } from 'vitest';
import { retrying } from '../../../src/db/engine/retrying.ts';
import { AppError } from '../../../src/errors.ts';

/** Makes work that fails `failureCount` times and then succeeds, and a function that returns the number of calls. */
const makeFailingWork = (error: Error, failureCount: number) => {
  const work = vi.fn<() => Promise<string>>().mockResolvedValue('done');
  for (let i = 0; i < failureCount; i++) work.mockRejectedValueOnce(error);
  return { work, countCalls: () => work.mock.calls.length };
};
const makeErrorWithCode = (code: string) => Object.assign(new Error('Failed.'), { code });

test.each(['40001', '40P01', '23503', '23505'])(
  'retries work that fails with the error code %s',
  async (code) => {
    const { work, countCalls } = makeFailingWork(makeErrorWithCode(code), 3);
    expect(await retrying(work)).toBe('done');
    expect(countCalls()).toBe(4);
  },
);

test('retries an AppError with a retryable cause', async () => {
  const error = new AppError('database_unavailable', 'Unavailable.', { cause: makeErrorWithCode('40P01') });
  const { work, countCalls } = makeFailingWork(error, 1);
  expect(await retrying(work)).toBe('done');
  expect(countCalls()).toBe(2);
});

test('throws any other error immediately, because the work may have taken effect', async () => {
  for (const error of [
    makeErrorWithCode('57014'),
    makeErrorWithCode('ECONNRESET'),
    new Error('A bug.'),
    new AppError('storage_full', 'No.'),
  ]) {
    const { work, countCalls } = makeFailingWork(error, 1);
    await expect(retrying(work)).rejects.toBe(error);
    expect(countCalls()).toBe(1);
  }
});

test('gives up after eight attempts', async () => {
  const { work, countCalls } = makeFailingWork(makeErrorWithCode('23503'), 100);
  await expect(retrying(work)).rejects.toMatchObject({ code: 'database_unavailable', status: 503 });
  expect(countCalls()).toBe(8);
});
