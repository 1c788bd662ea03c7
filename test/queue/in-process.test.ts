import { expect, test } from 'vitest';
import { makeInProcessQueue } from '../../src/queue/in-process.ts';
import { describeQueue, makeDueJobs, listen } from './queue-contract.ts';

describeQueue('in-process', {
  open: (count) => Promise.resolve(Array.from({ length: count }, makeInProcessQueue)),
  isShared: false,
});

test('wakes every listener in the process', () => {
  const queue = makeInProcessQueue();
  const [firstListener, secondListener] = [listen(queue), listen(queue)];
  queue.wake(makeDueJobs());
  expect([firstListener.polls, secondListener.polls]).toEqual([1, 1]);
});
