import { expect, test, vi } from 'vitest';
import { retrying } from '../../../src/db/engine/retrying.ts';
import { AppError } from '../../../src/errors.ts';

/** Returns work that fails `times` times and then succeeds. */
const failing = (error: Error, times: number) => {
  const work = vi.fn<() => Promise<string>>().mockResolvedValue('done');
  for (let i = 0; i < times; i++) work.mockRejectedValueOnce(error);
  return { work, calls: () => work.mock.calls.length };
};
const errorWithCode = (code: string) => Object.assign(new Error('Failed.'), { code });

test.each(['40001', '40P01', '23503', '23505'])('retries work that fails with %s', async (code) => {
  const { work, calls } = failing(errorWithCode(code), 3);
  expect(await retrying(work)).toBe('done');
  expect(calls()).toBe(4);
});

test('recognises a retryable cause of an AppError', async () => {
  const wrapped = new AppError('database_unavailable', 'Unavailable.', { cause: errorWithCode('40P01') });
  const { work, calls } = failing(wrapped, 1);
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
    const { work, calls } = failing(error, 1);
    await expect(retrying(work)).rejects.toBe(error);
    expect(calls()).toBe(1);
  }
});

test('gives up after the last attempt with a retryable error', async () => {
  const { work, calls } = failing(errorWithCode('23503'), 100);
  await expect(retrying(work)).rejects.toMatchObject({ code: 'database_unavailable', status: 503 });
  expect(calls()).toBe(8);
});
