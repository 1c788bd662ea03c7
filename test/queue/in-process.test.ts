import { expect, test } from 'vitest';
import { makeInProcessQueue } from '../../src/queue/in-process.ts';

test('a wake-up reaches every listener, until it no longer listens', () => {
  const queue = makeInProcessQueue();
  const heard: string[] = [];
  const stop = queue.onWake(() => heard.push('first'));
  queue.onWake(() => heard.push('second'));
  queue.wake();
  stop();
  queue.wake();
  expect(heard).toEqual(['first', 'second', 'second']);
});

test('a wake-up that nobody hears is fine, also after the end', async () => {
  const queue = makeInProcessQueue();
  queue.wake();
  const heard: string[] = [];
  queue.onWake(() => heard.push('late'));
  await queue.close();
  queue.wake();
  expect(heard).toEqual([]);
});
