import { expect, test } from 'vitest';
import { type KeeperCandidate, suggestKeeper } from '../../../src/services/duplicates/suggest-keeper.ts';

const base: KeeperCandidate = {
  id: 1,
  width: 1000,
  height: 800,
  format: 'jpeg',
  originalBytes: 200_000,
  createdAt: new Date('2026-01-01'),
  damagedAt: null,
  status: 'completed',
};

/** Suggests one of these images, which are numbered from 1. */
const suggest = (...images: Partial<KeeperCandidate>[]) =>
  suggestKeeper(images.map((image, index) => ({ ...base, id: index + 1, ...image })));

test('suggests the image with the most pixels, whatever its format and age', () => {
  expect(
    suggest({ format: 'png' }, { width: 1001, format: 'gif', createdAt: new Date('2026-02-01') }, {}),
  ).toEqual({ id: 2, reason: 'the most pixels (1001 × 800)' });
});

test.each([
  [['jpeg', 'png'], 2],
  [['webp', 'jpeg'], 2],
  [['avif', 'heic'], 2],
  [['gif', 'webp'], 2],
  [['jpeg', 'gif', 'tiff'], 3],
  [['avif', 'bmp'], 2],
] as const)('prefers the better format among %j', (formats, id) => {
  const images = formats.map((format, age) => ({ format, createdAt: new Date(2026, age) }));
  expect(suggest(...images)).toMatchObject({ id, reason: expect.stringContaining('the best format') });
});

test('prefers the file that is less compressed, unless the sizes are about the same', () => {
  expect(suggest({ originalBytes: 100_000 }, {})).toEqual({
    id: 2,
    reason: 'the largest file of its format, so the least compressed',
  });
  expect(suggest({ originalBytes: 190_000 }, {})).toMatchObject({ id: 1 });
  // The size of a lossless file says nothing about its quality.
  expect(suggest({ format: 'png', originalBytes: 100_000 }, { format: 'png' })).toMatchObject({ id: 1 });
});

test('suggests the oldest of equally good images', () => {
  expect(suggest({ createdAt: new Date('2026-03-01') }, {}, {})).toEqual({
    id: 2,
    reason: 'the oldest of the images that are equally good',
  });
});

test('suggests no image that is damaged or has failed', () => {
  const damaged = { width: 4000, damagedAt: new Date() };
  expect(suggest(damaged, {})).toEqual({ id: 2, reason: 'the only image that is intact' });
  expect(suggest(damaged, { status: 'failed' })).toBeUndefined();
});
