import { expect, test } from 'vitest';
import { makeInProcessQueue } from '../../src/queue/in-process.ts';
import { describeQueue, due, listen } from './queue-contract.ts';

describeQueue('in-process', {
  open: (count) => Promise.resolve(Array.from({ length: count }, makeInProcessQueue)),
  isShared: false,
});

test('wakes every listener of the process', () => {
  const queue = makeInProcessQueue();
  const [first, second] = [listen(queue), listen(queue)];
  queue.wake(due());
  expect([first.looks, second.looks]).toEqual([1, 1]);
});
