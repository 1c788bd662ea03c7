import { expect, onTestFinished, test, vi } from 'vitest';
import { makeUploadSlots, type UploadSlot } from '../../../src/http/overload/upload-slots.ts';

/** Creates slots with a clock that only moves when a test moves it. */
function makeSlots(maxActive: number, maxWaiting: number) {
  let time = 0;
  const slots = makeUploadSlots({ maxActive, maxWaiting, now: () => time });
  return { ...slots, advance: (ms: number) => void (time += ms) };
}

type Slots = ReturnType<typeof makeSlots>;

const takeMany = (slots: Slots, caller: string, count: number) =>
  Array.from({ length: count }, () => slots.take(caller));

/** Returns the state of each slot: admitted, refused or still waiting. */
async function statesOf(taken: ReturnType<typeof takeMany>) {
  return Promise.all(
    taken.map(({ granted }) => Promise.race([granted, Promise.resolve('waiting' as const)])),
  );
}

test('lets a burst wait, the newest first while it arrives, then the oldest first', async () => {
  const slots = makeSlots(2, 100);
  const taken = takeMany(slots, 'a', 50);
  expect(slots.counts()).toEqual({ active: 2, waiting: 48, isOverloaded: false });
  taken[0]?.release();
  expect(await taken[49]?.granted).toBe(true);
  // The next completion begins a new window, in which nothing has arrived.
  slots.advance(600);
  taken[1]?.release();
  expect(await taken[2]?.granted).toBe(true);
  expect(slots.counts()).toEqual({ active: 2, waiting: 46, isOverloaded: false });
});

test('refuses no client that waits for its answer before it sends again', async () => {
  const slots = makeSlots(2, 100);
  const processing: UploadSlot[] = [];
  let refused = 0;
  const send = () => {
    const slot = slots.take('a');
    void Promise.resolve(slot.granted).then((isGranted) => {
      if (isGranted) processing.push(slot);
      else refused += 1;
    });
  };
  for (let client = 0; client < 80; client += 1) send();
  for (let completion = 0; completion < 500; completion += 1) {
    await Promise.resolve();
    slots.advance(20);
    processing.shift()?.release();
    send();
  }
  expect(refused).toBe(0);
  expect(slots.counts()).toEqual({ active: 2, waiting: 78, isOverloaded: false });
});

test('refuses at once while more uploads arrive than can wait, and recovers', () => {
  const slots = makeSlots(2, 20);
  const taken = takeMany(slots, 'a', 23);
  expect(slots.counts()).toEqual({ active: 2, waiting: 0, isOverloaded: true });
  for (let tenth = 0; tenth < 20; tenth += 1) {
    expect(takeMany(slots, 'a', 10).map(({ granted }) => granted)).not.toContain(true);
    slots.advance(100);
  }
  expect(slots.counts()).toEqual({ active: 2, waiting: 0, isOverloaded: true });
  for (const slot of taken) slot.release();
  for (let tenth = 0; tenth < 12; tenth += 1) {
    slots.take('a').release();
    slots.advance(100);
  }
  expect(slots.counts()).toEqual({ active: 0, waiting: 0, isOverloaded: false });
});

test('enters an overload when the line is full', async () => {
  const slots = makeSlots(1, 5);
  const taken = takeMany(slots, 'a', 7);
  expect(taken.at(-1)?.granted).toBe(false);
  expect(slots.counts()).toEqual({ active: 1, waiting: 0, isOverloaded: true });
  expect(await statesOf(taken)).toEqual([true, ...Array.from({ length: 6 }, () => false)]);
});

test('gives each active caller an equal share, and all slots to a caller that is alone', async () => {
  const slots = makeSlots(4, 100);
  const ofA = takeMany(slots, 'a', 10);
  expect(slots.counts().active).toBe(4);
  const ofB = takeMany(slots, 'b', 3);
  for (const slot of ofA.slice(0, 3)) slot.release();
  expect(await statesOf(ofB)).toEqual([true, true, 'waiting']);
  // The third one is above the share of b, and a is below its own.
  expect((await statesOf(ofA.slice(4))).filter((state) => state === true)).toHaveLength(1);
  for (const slot of [...ofA, ...ofB]) slot.release();
  slots.advance(2_001);
  takeMany(slots, 'a', 10);
  expect(slots.counts().active).toBe(4);
});

test('lets a caller below its share wait while another caller floods the process', async () => {
  const slots = makeSlots(2, 10);
  const flood = takeMany(slots, 'a', 30);
  expect(slots.counts().isOverloaded).toBe(true);
  const slot = slots.take('b');
  expect(slot.granted).toBeInstanceOf(Promise);
  expect(slots.take('a').granted).toBe(false);
  flood[0]?.release();
  await expect(slot.granted).resolves.toBe(true);
});

test('a caller that floods the process lets others go first, but not for ever', async () => {
  const slots = makeSlots(4, 2);
  const flood = takeMany(slots, 'a', 7);
  const b = slots.take('b');
  expect(await statesOf(flood)).toEqual([true, true, true, true, false, false, false]);
  for (const slot of flood.slice(0, 4)) slot.release();
  expect(await b.granted).toBe(true);
  const first = slots.take('a');
  expect(await statesOf([first, slots.take('a')])).toEqual(['waiting', false]);
  b.release();
  expect(await first.granted).toBe(true);
  first.release();
  const [nextOfB, secondOfB] = takeMany(slots, 'b', 2);
  const second = slots.take('a');
  nextOfB?.release();
  expect(await statesOf([second])).toEqual(['waiting']);
  slots.advance(100);
  expect(secondOfB?.granted).toBe(true);
  slots.take('b').release();
  expect(await second.granted).toBe(true);
});

test('a caller that floods the process uses its slots half of the time while others are active', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const slots = makeSlots(4, 2);
  const flood = takeMany(slots, 'a', 7);
  slots.take('b').release();
  slots.advance(80);
  for (const slot of flood.slice(0, 4)) slot.release();
  expect(slots.counts()).toMatchObject({ active: 0 });
  const next = slots.take('a');
  expect(await statesOf([next])).toEqual([false]);
  vi.advanceTimersByTime(79);
  expect(await statesOf([slots.take('a')])).toEqual([false]);
  vi.advanceTimersByTime(1);
  expect(slots.take('a').granted).toBe(true);
});

test('makes room in a full line for a caller that does not fill it', () => {
  const slots = makeSlots(1, 3);
  takeMany(slots, 'a', 4);
  expect(slots.take('b').granted).toBeInstanceOf(Promise);
});

test('lets others use the slot of a body that arrives slowly, and never refuses it afterwards', async () => {
  const slots = makeSlots(1, 0);
  const slow = slots.take('a');
  slow.suspend();
  const other = slots.take('a');
  expect(other.granted).toBe(true);
  let isResumed = false;
  const resumed = slow.resume().then(() => (isResumed = true));
  expect(slots.take('a').granted).toBe(false);
  await Promise.resolve();
  expect(isResumed).toBe(false);
  other.release();
  await resumed;
  slow.release();
  slow.release();
  expect(slots.counts()).toMatchObject({ active: 0, waiting: 0 });
});

test('forgets an upload whose client leaves the line', async () => {
  const slots = makeSlots(1, 10);
  const active = slots.take('a');
  const left = slots.take('a');
  left.release();
  active.release();
  await expect(left.granted).resolves.toBe(false);
  expect(slots.counts()).toMatchObject({ active: 0, waiting: 0 });
});
