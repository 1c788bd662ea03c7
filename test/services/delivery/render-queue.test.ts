import { setImmediate as tick } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeRenderQueue } from '../../../src/services/delivery/render-queue.ts';

const { signal } = new AbortController();

/** Returns work that ends when `finish` is called, and records its name when it starts. */
function makeWork(started: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const work = () => {
    started.push(name);
    return promise;
  };
  return { work, finish: () => resolve(name) };
}

test('runs as much work at a time as there are places; tenants take turns', async () => {
  const queue = makeRenderQueue(1, 10);
  const started: string[] = [];
  const works = ['a1', 'a2', 'a3', 'b1'].map((name) => ({ name, ...makeWork(started, name) }));
  const runs = works.map(({ name, work }) => queue.run(name.startsWith('a') ? 1 : 2, signal, work));
  for (const expected of [['a1'], ['a1', 'a2'], ['a1', 'a2', 'b1'], ['a1', 'a2', 'b1', 'a3']]) {
    await tick();
    expect(started).toEqual(expected);
    works.find(({ name }) => name === expected.at(-1))!.finish();
  }
  expect(await Promise.all(runs)).toEqual(['a1', 'a2', 'a3', 'b1']);
});

test('rejects work if too much is waiting, and says when to try again', async () => {
  const queue = makeRenderQueue(1, 1);
  const running = makeWork([], 'running');
  const first = queue.run(1, signal, running.work);
  const second = queue.run(1, signal, () => Promise.resolve('second'));
  await expect(queue.run(1, signal, () => Promise.resolve('third'))).rejects.toMatchObject({
    code: 'overloaded',
    status: 503,
    retryAfterSeconds: expect.any(Number) as number,
    message: '1 rendition is waiting to be made; the limit is 1 (MAX_WAITING_RENDERINGS).',
  });
  running.finish();
  expect(await Promise.all([first, second])).toEqual(['running', 'second']);
});

test('frees the place of work that fails, and of work that nobody waits for', async () => {
  const queue = makeRenderQueue(1, 5);
  const controller = new AbortController();
  const failing = queue.run(1, signal, () => Promise.reject(new Error('broken')));
  const leaving = queue.run(1, controller.signal, () => Promise.resolve('never'));
  const last = queue.run(1, signal, () => Promise.resolve('last'));
  controller.abort(new Error('left'));
  await expect(failing).rejects.toThrow('broken');
  await expect(leaving).rejects.toThrow('left');
  expect(await last).toBe('last');
  expect(await queue.run(1, signal, () => Promise.resolve('again'))).toBe('again');
});
