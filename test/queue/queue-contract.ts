import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DueJob, JobKind } from '../../src/model/job.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { timeScale } from '../support/time-scale.ts';

/** A driver, and what of the contract depends on it. */
export interface QueueUnderTest {
  /** Queues of several processes on the same server that nobody else uses, all of them ready. */
  readonly open: (count: number) => Promise<WorkQueue[]>;
  /** Whether other processes are woken up, too. */
  readonly isShared: boolean;
}

/** Jobs that are due; their numbers mean nothing. */
export const due = (kind: JobKind = 'derive', count = 1): DueJob[] =>
  Array.from({ length: count }, (_, id) => ({ id: id + 1, kind }));

/** Listens, and counts its looks. */
export function listen(queue: WorkQueue, kind: JobKind = 'derive') {
  const heard = { looks: 0, stop: () => undefined as void };
  heard.stop = queue.onWake(kind, () => Promise.resolve(void heard.looks++));
  return heard;
}

/** Nothing more comes after this time. */
const quietMs = 400;
const soon = { interval: 5 };

/** What every driver of the queue contract does. */
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
    test('a wake-up reaches a listener within 100 ms', async () => {
      const queue = await openOne();
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      queue.onWake('derive', () => Promise.resolve(resolve()));
      await sleep(quietMs);
      const began = performance.now();
      queue.wake(due());
      await woken;
      expect(performance.now() - began).toBeLessThan(100 * timeScale);
      expect(queue.trouble()).toBeUndefined();
    });

    test('only listeners of the kind are woken, and of two kinds both', async () => {
      const queue = await openOne();
      const [derive, imports] = [listen(queue), listen(queue, 'import')];
      await sleep(quietMs);
      queue.wake(due('import'));
      await expect.poll(() => imports.looks, soon).toBe(1);
      await sleep(quietMs);
      expect(derive.looks).toBe(0);
      queue.wake([...due('import'), ...due('derive')]);
      await expect.poll(() => [derive.looks, imports.looks], soon).toEqual([1, 2]);
    });

    test('every wake-up is heard, also of the same job again', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      for (let looks = 1; looks <= 5; looks++) {
        queue.wake(due());
        await expect.poll(() => heard.looks, soon).toBe(looks);
      }
    });

    test('who no longer listens hears nothing', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      heard.stop();
      heard.stop();
      queue.wake(due());
      await sleep(quietMs);
      expect(heard.looks).toBe(0);
    });

    test('a wake-up for later comes when it is due', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      const began = performance.now();
      queue.wake(due(), 700);
      await expect.poll(() => heard.looks, soon).toBe(1);
      expect(performance.now() - began).toBeGreaterThan(650);
      expect(performance.now() - began).toBeLessThan(1_500 * timeScale);
    });

    test('a wake-up for later does not hold up one for now', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      queue.wake(due(), 60_000);
      queue.wake(due());
      await expect.poll(() => heard.looks, soon).toBe(1);
    });

    test('a flood of wake-ups costs few looks', async () => {
      const queue = await openOne();
      let looks = 0;
      queue.onWake('derive', async () => {
        looks++;
        await sleep(2);
      });
      await sleep(quietMs);
      for (let i = 0; i < 1_000; i++) queue.wake(due());
      queue.wake(due('derive', 10_000));
      await expect.poll(() => looks, soon).toBeGreaterThan(0);
      await sleep(quietMs);
      expect(looks).toBeLessThanOrEqual(200);
    });

    test('what is announced during a look is followed by another look', async () => {
      const queue = await openOne();
      const first = Promise.withResolvers<void>();
      let looks = 0;
      queue.onWake('derive', () => (++looks === 1 ? first.promise : Promise.resolve()));
      await sleep(quietMs);
      queue.wake(due());
      await expect.poll(() => looks, soon).toBe(1);
      queue.wake(due());
      await sleep(quietMs);
      expect(looks).toBe(1);
      first.resolve();
      await expect.poll(() => looks, soon).toBe(2);
    });

    test('closing is quick, may be repeated, and then nothing is heard', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      queue.wake(due(), 100);
      const began = performance.now();
      await Promise.all([queue.close(), queue.close()]);
      await queue.close();
      expect(performance.now() - began).toBeLessThan(1_000 * timeScale);
      queue.wake(due());
      queue.onWake('derive', () => Promise.resolve(void heard.looks++));
      await sleep(quietMs);
      expect(heard.looks).toBe(0);
    });

    test('closing waits for no listener', async () => {
      const queue = await openOne();
      let looks = 0;
      queue.onWake('derive', () => {
        looks++;
        return new Promise(() => undefined);
      });
      await sleep(quietMs);
      queue.wake(due());
      await expect.poll(() => looks, soon).toBe(1);
      const began = performance.now();
      await queue.close();
      expect(performance.now() - began).toBeLessThan(1_200 * timeScale);
    });

    if (!isShared) return;

    test('an idle process is woken by another one', async () => {
      const [sender, idle] = await openAll(2);
      const heard = listen(idle!);
      await sleep(quietMs);
      sender!.wake(due());
      await expect.poll(() => heard.looks, soon).toBe(1);
    });

    test('a wake-up in the moment of a stop is heard by those who still listen, and by nobody else', async () => {
      const [sender, leaving, staying] = await openAll(3);
      const left = listen(leaving!);
      await sleep(quietMs);
      left.stop();
      sender!.wake(due());
      const heard = listen(staying!);
      sender!.wake(due());
      await expect.poll(() => heard.looks, soon).toBeGreaterThan(0);
      expect(left.looks).toBe(0);
    });

    test('a process that is full leaves wake-ups to an idle one', async () => {
      const [sender, full, idle] = await openAll(3);
      full!.onWake('derive', () => new Promise(() => undefined));
      const heard = listen(idle!);
      await sleep(quietMs);
      for (let i = 0; i < 5; i++) {
        sender!.wake(due());
        await sleep(50);
      }
      await expect.poll(() => heard.looks, soon).toBeGreaterThanOrEqual(4);
    });
  });
}
