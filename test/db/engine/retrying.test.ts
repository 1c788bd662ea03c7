import { expect, test, vi } from 'vitest';
import { retrying } from '../../../src/db/engine/retrying.ts';
import { AppError } from '../../../src/errors.ts';

const failing = (error: Error, times: number) => {
  const work = vi.fn<() => Promise<string>>().mockResolvedValue('done');
  for (let n = 0; n < times; n++) work.mockRejectedValueOnce(error);
  return { work, calls: () => work.mock.calls.length };
};
const stateOf = (code: string) => Object.assign(new Error('It failed.'), { code });

test.each(['40001', '40P01', '23503', '23505'])('retries work that failed with %s', async (code) => {
  const { work, calls } = failing(stateOf(code), 3);
  expect(await retrying(work)).toBe('done');
  expect(calls()).toBe(4);
});

test('recognises the cause of an AppError', async () => {
  const named = new AppError('database_unavailable', 'Others …', { cause: stateOf('40P01') });
  const { work, calls } = failing(named, 1);
  expect(await retrying(work)).toBe('done');
  expect(calls()).toBe(2);
});

test('throws any other error at once: the work may have been done', async () => {
  for (const error of [
    stateOf('57014'),
    stateOf('ECONNRESET'),
    new Error('A bug.'),
    new AppError('storage_full', 'No.'),
  ]) {
    const { work, calls } = failing(error, 1);
    await expect(retrying(work)).rejects.toBe(error);
    expect(calls()).toBe(1);
  }
});

test('gives up after the last attempt, with an error that asks to try again', async () => {
  const { work, calls } = failing(stateOf('23503'), 100);
  await expect(retrying(work)).rejects.toMatchObject({ code: 'database_unavailable', status: 503 });
  expect(calls()).toBe(8);
});
