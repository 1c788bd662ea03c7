import { describe, expect, onTestFinished, test } from 'vitest';
import type { RequestCounts } from '../../../src/model/request-counts.ts';
import { makeMemoryCounts } from '../../../src/services/limits/memory-counts.ts';
import { makeRequestLimiter, type RequestLimiter } from '../../../src/services/limits/request-limiter.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

/** A clock that starts at the beginning of a minute. */
function makeClock() {
  let time = 1_000 * 60_000;
  return { now: () => time, advance: (milliseconds: number) => (time += milliseconds) };
}

const noLimits = { key: 0, address: 0, 'invalid-keys': 0 };

function createLimiter(
  limits: Partial<typeof noLimits>,
  counts: RequestCounts = makeMemoryCounts(),
  now: () => number = makeClock().now,
) {
  const logger = makeRecordingLogger();
  const limiter = makeRequestLimiter({ counts, limits: { ...noLimits, ...limits }, logger, now });
  onTestFinished(() => limiter.stop());
  return { limiter, logger };
}

/** Counts `requests` requests. Returns how many were accepted. */
function takeMany(limiter: RequestLimiter, requests: number, caller = 'robot'): number {
  let accepted = 0;
  for (let index = 0; index < requests; index += 1)
    if (limiter.take('key', caller)?.isExceeded === false) accepted += 1;
  return accepted;
}

describe('a limiter', () => {
  test('accepts requests up to the limit, and says how much is left', () => {
    const { limiter } = createLimiter({ key: 3 });
    const uses = [1, 2, 3, 4, 5].map(() => limiter.take('key', 'robot'));
    expect(uses.map((use) => [use?.remaining, use?.isExceeded])).toEqual([
      [2, false],
      [1, false],
      [0, false],
      [0, true],
      [0, true],
    ]);
    expect(uses[0]).toEqual({ name: 'key', limit: 3, remaining: 2, resetSeconds: 60, isExceeded: false });
  });

  test('accepts requests again in the next minute', () => {
    const clock = makeClock();
    const { limiter } = createLimiter({ key: 3 }, makeMemoryCounts(clock.now), clock.now);
    clock.advance(41_500);
    takeMany(limiter, 9);
    expect(limiter.take('key', 'robot')).toMatchObject({ isExceeded: true, resetSeconds: 19 });
    clock.advance(18_499);
    expect(limiter.take('key', 'robot')).toMatchObject({ isExceeded: true, resetSeconds: 1 });
    clock.advance(1);
    expect(limiter.take('key', 'robot')).toMatchObject({ isExceeded: false, remaining: 2 });
  });

  test('counts callers and limits separately', () => {
    const { limiter } = createLimiter({ key: 2, address: 2 });
    takeMany(limiter, 5, 'robot');
    expect(takeMany(limiter, 1, 'other')).toBe(1);
    expect(limiter.take('address', 'robot')?.isExceeded).toBe(false);
    expect(limiter.take('invalid-keys', 'robot')).toBeUndefined();
  });

  test('takes back requests', () => {
    const { limiter } = createLimiter({ key: 2 });
    takeMany(limiter, 2);
    limiter.giveBack('key', 'robot');
    expect(takeMany(limiter, 5)).toBe(1);
    limiter.giveBack('key', 'unknown');
    expect(takeMany(limiter, 5, 'unknown')).toBe(2);
  });
});

describe('limiters of several processes', () => {
  test('learn each other’s requests', async () => {
    const clock = makeClock();
    const counts = makeMemoryCounts(clock.now);
    const [one, other] = [1, 2].map(() => createLimiter({ key: 100 }, counts, clock.now).limiter);
    expect(takeMany(one!, 60)).toBe(60);
    await one!.exchange();
    expect(takeMany(other!, 10)).toBe(10);
    await other!.exchange();
    expect(takeMany(other!, 60)).toBe(30);
    await other!.exchange();
    await one!.exchange();
    expect(takeMany(one!, 60)).toBe(40);
  });

  test('do not share the counts of callers who use less than a hundredth of the limit', async () => {
    const counts = makeMemoryCounts(makeClock().now);
    const added: string[] = [];
    const recording: RequestCounts = {
      ...counts,
      add: (requests) => {
        added.push(...requests.map(({ bucket }) => bucket));
        return counts.add(requests);
      },
    };
    const { limiter } = createLimiter({ key: 1_000 }, recording);
    takeMany(limiter, 9, 'quiet');
    takeMany(limiter, 10, 'busy');
    await limiter.exchange();
    expect(added).toEqual(['key busy']);
    await limiter.exchange();
    expect(added).toEqual(['key busy']);
  });

  test('use the shared clock', async () => {
    const sharedClock = makeClock();
    const windows: number[] = [];
    const counts = makeMemoryCounts(sharedClock.now);
    const recording: RequestCounts = {
      ...counts,
      add: (requests) => {
        windows.push(...requests.map(({ window }) => window));
        return counts.add(requests);
      },
    };
    // The clock of this process is 7.5 minutes ahead.
    const { limiter } = createLimiter({ key: 10 }, recording, () => sharedClock.now() + 450_000);
    await limiter.exchange();
    takeMany(limiter, 3);
    await limiter.exchange();
    expect(windows).toEqual([1_000]);
    expect(limiter.take('key', 'robot')?.resetSeconds).toBe(60);
  });

  test('stay in a window if the clock is corrected by a little', async () => {
    const sharedClock = makeClock();
    sharedClock.advance(-20);
    const { limiter } = createLimiter({ key: 10 }, makeMemoryCounts(sharedClock.now));
    takeMany(limiter, 4);
    await limiter.exchange();
    expect(limiter.take('key', 'robot')).toMatchObject({ remaining: 5, resetSeconds: 60 });
  });

  test('limit requests on their own while counts cannot be shared, and send them later', async () => {
    const clock = makeClock();
    const counts = makeMemoryCounts(clock.now);
    let isAvailable = false;
    const unreliable: RequestCounts = {
      ...counts,
      add: (requests) => (isAvailable ? counts.add(requests) : Promise.reject(new Error('no connection'))),
    };
    const { limiter, logger } = createLimiter({ key: 100 }, unreliable, clock.now);
    takeMany(limiter, 70);
    for (let attempt = 0; attempt < 3; attempt += 1) await limiter.exchange();
    expect(takeMany(limiter, 70)).toBe(30);
    expect(logger.messages('warn')).toHaveLength(1);
    isAvailable = true;
    await limiter.exchange();
    expect(logger.messages('info')).toEqual(['sharing the counts of requests again']);
    const other = createLimiter({ key: 200 }, counts, clock.now).limiter;
    takeMany(other, 2);
    await other.exchange();
    expect(other.take('key', 'robot')?.remaining).toBe(200 - 100 - 3);
  });

  test('remove old counts once in each window', async () => {
    const removed: number[] = [];
    const clock = makeClock();
    const counts = makeMemoryCounts(clock.now);
    const recording: RequestCounts = {
      ...counts,
      removeBefore: (window) => {
        removed.push(window);
        return counts.removeBefore(window);
      },
    };
    const { limiter } = createLimiter({ key: 10 }, recording, clock.now);
    for (let second = 0; second < 150; second += 1) {
      limiter.take('key', 'robot');
      await limiter.exchange();
      clock.advance(1_000);
    }
    expect(removed).toEqual([999, 1_000, 1_001]);
  });
});
