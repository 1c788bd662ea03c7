import { expect, test, vi } from 'vitest';
import { retrying } from '../../../src/db/engine/retrying.ts';
import { AppError } from '../../../src/errors.ts';

/** Returns a function that fails `times` times and then succeeds. */
const makeFailingWork = (error: Error, times: number) => {
  const work = vi.fn<() => Promise<string>>().mockResolvedValue('done');
  for (let i = 0; i < times; i++) work.mockRejectedValueOnce(error);
  return { work, calls: () => work.mock.calls.length };
};
const errorWithCode = (code: string) => Object.assign(new Error('Failed.'), { code });

test.each(['40001', '40P01', '23503', '23505'])('retries work that fails with %s', async (code) => {
  const { work, calls } = makeFailingWork(errorWithCode(code), 3);
  expect(await retrying(work)).toBe('done');
  expect(calls()).toBe(4);
});

test('retries an AppError with a retryable cause', async () => {
  const error = new AppError('database_unavailable', 'Unavailable.', { cause: errorWithCode('40P01') });
  const { work, calls } = makeFailingWork(error, 1);
  expect(await retrying(work)).toBe('done');
  expect(calls()).toBe(2);
});

test('throws any other error immediately, because the work may have taken effect', async () => {
  for (const error of [
    errorWithCode('57014'),
    errorWithCode('ECONNRESET'),
    new Error('A bug.'),
    new AppError('storage_full', 'No.'),
  ]) {
    const { work, calls } = makeFailingWork(error, 1);
    await expect(retrying(work)).rejects.toBe(error);
    expect(calls()).toBe(1);
  }
});

test('gives up after eight attempts', async () => {
  const { work, calls } = makeFailingWork(errorWithCode('23503'), 100);
  await expect(retrying(work)).rejects.toMatchObject({ code: 'database_unavailable', status: 503 });
  expect(calls()).toBe(8);
});
