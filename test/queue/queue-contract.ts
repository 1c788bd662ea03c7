import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DueJob, JobKind } from '../../src/model/job.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { timeScale } from '../support/time-scale.ts';

/** A queue driver under test. */
export interface QueueUnderTest {
  /** Opens one queue per simulated process, all with the same newly generated name, and waits until the queues are ready. */
  readonly open: (count: number) => Promise<WorkQueue[]>;
  /** Whether wake-ups reach other processes. */
  readonly isShared: boolean;
}

/** Returns due jobs with arbitrary ids. */
export const makeDueJobs = (kind: JobKind = 'derive', count = 1): DueJob[] =>
  Array.from({ length: count }, (_, id) => ({ id: id + 1, kind }));

/** Registers a listener that counts how often it is called. */
export function listen(queue: WorkQueue, kind: JobKind = 'derive') {
  const listener = { polls: 0, stop: () => undefined as void };
  listener.stop = queue.onWake(kind, () => Promise.resolve(void listener.polls++));
  return listener;
}

/** Time within which all wake-ups are delivered. */
const deliveryMs = 400;
const pollOptions = { interval: 5 };

/** Defines the contract tests for a queue driver. */
export function describeQueue(name: string, { open, isShared }: QueueUnderTest): void {
  async function openAll(count: number): Promise<WorkQueue[]> {
    const queues = await open(count);
    onTestFinished(async () => void (await Promise.all(queues.map((queue) => queue.close()))));
    return queues;
  }

  async function openOne(): Promise<WorkQueue> {
    const [queue] = await openAll(1);
    if (!queue) throw new Error('No queue was opened.');
    return queue;
  }

  describe(`queue: ${name}`, () => {
    test('wakes a listener within 100 ms', async () => {
      const queue = await openOne();
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      queue.onWake('derive', () => Promise.resolve(resolve()));
      await sleep(deliveryMs);
      const startedAt = performance.now();
      queue.wake(makeDueJobs());
      await woken;
      expect(performance.now() - startedAt).toBeLessThan(100 * timeScale);
      expect(queue.outageReason()).toBeUndefined();
    });

    test('wakes only the listeners for the given job kinds', async () => {
      const queue = await openOne();
      const [deriveListener, importListener] = [listen(queue), listen(queue, 'import')];
      await sleep(deliveryMs);
      queue.wake(makeDueJobs('import'));
      await expect.poll(() => importListener.polls, pollOptions).toBe(1);
      await sleep(deliveryMs);
      expect(deriveListener.polls).toBe(0);
      queue.wake([...makeDueJobs('import'), ...makeDueJobs('derive')]);
      await expect.poll(() => [deriveListener.polls, importListener.polls], pollOptions).toEqual([1, 2]);
    });

    test('delivers every repeated wake-up for the same job', async () => {
      const queue = await openOne();
      const listener = listen(queue);
      await sleep(deliveryMs);
      for (let polls = 1; polls <= 5; polls++) {
        queue.wake(makeDueJobs());
        await expect.poll(() => listener.polls, pollOptions).toBe(polls);
      }
    });

    test('does not wake a removed listener', async () => {
      const queue = await openOne();
      const listener = listen(queue);
      await sleep(deliveryMs);
      listener.stop();
      listener.stop();
      queue.wake(makeDueJobs());
      await sleep(deliveryMs);
      expect(listener.polls).toBe(0);
    });

    test('delivers a delayed wake-up when it is due', async () => {
      const queue = await openOne();
      const listener = listen(queue);
      await sleep(deliveryMs);
      const startedAt = performance.now();
      queue.wake(makeDueJobs(), 700);
      await expect.poll(() => listener.polls, pollOptions).toBe(1);
      expect(performance.now() - startedAt).toBeGreaterThan(650);
      expect(performance.now() - startedAt).toBeLessThan(1_500 * timeScale);
    });

    test('delivers an immediate wake-up without waiting for a delayed wake-up', async () => {
      const queue = await openOne();
      const listener = listen(queue);
      await sleep(deliveryMs);
      queue.wake(makeDueJobs(), 60_000);
      queue.wake(makeDueJobs());
      await expect.poll(() => listener.polls, pollOptions).toBe(1);
    });

    test('combines many wake-ups into fewer polls', async () => {
      const queue = await openOne();
      let polls = 0;
      queue.onWake('derive', async () => {
        polls++;
        await sleep(2);
      });
      await sleep(deliveryMs);
      for (let i = 0; i < 1_000; i++) queue.wake(makeDueJobs());
      queue.wake(makeDueJobs('derive', 10_000));
      await expect.poll(() => polls, pollOptions).toBeGreaterThan(0);
      await sleep(deliveryMs);
      expect(polls).toBeLessThanOrEqual(200);
    });

    test('polls again if a wake-up arrives during a poll', async () => {
      const queue = await openOne();
      const firstPoll = Promise.withResolvers<void>();
      let polls = 0;
      queue.onWake('derive', () => (++polls === 1 ? firstPoll.promise : Promise.resolve()));
      await sleep(deliveryMs);
      queue.wake(makeDueJobs());
      await expect.poll(() => polls, pollOptions).toBe(1);
      queue.wake(makeDueJobs());
      await sleep(deliveryMs);
      expect(polls).toBe(1);
      firstPoll.resolve();
      await expect.poll(() => polls, pollOptions).toBe(2);
    });

    test('closes quickly, can be closed twice, and delivers nothing afterwards', async () => {
      const queue = await openOne();
      const listener = listen(queue);
      await sleep(deliveryMs);
      queue.wake(makeDueJobs(), 100);
      const startedAt = performance.now();
      await Promise.all([queue.close(), queue.close()]);
      await queue.close();
      expect(performance.now() - startedAt).toBeLessThan(1_000 * timeScale);
      queue.wake(makeDueJobs());
      queue.onWake('derive', () => Promise.resolve(void listener.polls++));
      await sleep(deliveryMs);
      expect(listener.polls).toBe(0);
    });

    test('closes without waiting for listeners', async () => {
      const queue = await openOne();
      let polls = 0;
      queue.onWake('derive', () => {
        polls++;
        return new Promise(() => undefined);
      });
      await sleep(deliveryMs);
      queue.wake(makeDueJobs());
      await expect.poll(() => polls, pollOptions).toBe(1);
      const startedAt = performance.now();
      await queue.close();
      expect(performance.now() - startedAt).toBeLessThan(1_200 * timeScale);
    });

    if (!isShared) return;

    test('wakes an idle listener in another process', async () => {
      const [sendingQueue, idleQueue] = await openAll(2);
      const listener = listen(idleQueue!);
      await sleep(deliveryMs);
      sendingQueue!.wake(makeDueJobs());
      await expect.poll(() => listener.polls, pollOptions).toBe(1);
    });

    test('delivers wake-ups only to the remaining processes after one process stops listening', async () => {
      const [sendingQueue, stoppingQueue, remainingQueue] = await openAll(3);
      const stoppedListener = listen(stoppingQueue!);
      await sleep(deliveryMs);
      stoppedListener.stop();
      sendingQueue!.wake(makeDueJobs());
      const listener = listen(remainingQueue!);
      sendingQueue!.wake(makeDueJobs());
      await expect.poll(() => listener.polls, pollOptions).toBeGreaterThan(0);
      expect(stoppedListener.polls).toBe(0);
    });

    test('delivers wake-ups to an idle process while another process is busy', async () => {
      const [sendingQueue, busyQueue, idleQueue] = await openAll(3);
      busyQueue!.onWake('derive', () => new Promise(() => undefined));
      const listener = listen(idleQueue!);
      await sleep(deliveryMs);
      for (let i = 0; i < 5; i++) {
        sendingQueue!.wake(makeDueJobs());
        await sleep(50);
      }
      await expect.poll(() => listener.polls, pollOptions).toBeGreaterThanOrEqual(4);
    });
  });
}
