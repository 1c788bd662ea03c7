import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DueJob, JobKind } from '../../src/model/job.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { timeScale } from '../support/time-scale.ts';

/** A driver under test, and its capabilities. */
export interface QueueUnderTest {
  /** Opens the queues of several processes on the same otherwise unused server, and waits until all are ready. */
  readonly open: (count: number) => Promise<WorkQueue[]>;
  /** Whether other processes are woken up too. */
  readonly isShared: boolean;
}

/** Returns due jobs with arbitrary ids. */
export const due = (kind: JobKind = 'derive', count = 1): DueJob[] =>
  Array.from({ length: count }, (_, id) => ({ id: id + 1, kind }));

/** Registers a listener that counts its polls. */
export function listen(queue: WorkQueue, kind: JobKind = 'derive') {
  const heard = { looks: 0, stop: () => undefined as void };
  heard.stop = queue.onWake(kind, () => Promise.resolve(void heard.looks++));
  return heard;
}

/** After this time, no more wake-ups arrive. */
const quietMs = 400;
const soon = { interval: 5 };

/** The contract tests of every queue driver. */
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
      await sleep(quietMs);
      const began = performance.now();
      queue.wake(due());
      await woken;
      expect(performance.now() - began).toBeLessThan(100 * timeScale);
      expect(queue.outageReason()).toBeUndefined();
    });

    test('wakes only listeners of the job kind, or of both kinds', async () => {
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

    test('delivers every wake-up, even repeated ones of the same job', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      for (let looks = 1; looks <= 5; looks++) {
        queue.wake(due());
        await expect.poll(() => heard.looks, soon).toBe(looks);
      }
    });

    test('does not wake removed listeners', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      heard.stop();
      heard.stop();
      queue.wake(due());
      await sleep(quietMs);
      expect(heard.looks).toBe(0);
    });

    test('delivers a delayed wake-up when it is due', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      const began = performance.now();
      queue.wake(due(), 700);
      await expect.poll(() => heard.looks, soon).toBe(1);
      expect(performance.now() - began).toBeGreaterThan(650);
      expect(performance.now() - began).toBeLessThan(1_500 * timeScale);
    });

    test('delivers an immediate wake-up before a delayed one', async () => {
      const queue = await openOne();
      const heard = listen(queue);
      await sleep(quietMs);
      queue.wake(due(), 60_000);
      queue.wake(due());
      await expect.poll(() => heard.looks, soon).toBe(1);
    });

    test('coalesces a flood of wake-ups into few polls', async () => {
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

    test('polls again after a wake-up during a poll', async () => {
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

    test('closes quickly and repeatedly, and delivers nothing afterwards', async () => {
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

    test('does not wait for listeners when closing', async () => {
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

    test('wakes an idle process from another one', async () => {
      const [sender, idle] = await openAll(2);
      const heard = listen(idle!);
      await sleep(quietMs);
      sender!.wake(due());
      await expect.poll(() => heard.looks, soon).toBe(1);
    });

    test('delivers a wake-up during a stop to the remaining listeners only', async () => {
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

    test('leaves wake-ups to an idle process while another is busy', async () => {
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
