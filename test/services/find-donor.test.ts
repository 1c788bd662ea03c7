import { expect, test } from 'vitest';
import { possibleDonors } from '../../src/services/find-donor.ts';
import type { NearMatch } from '../../src/services/find-near-duplicates.ts';
import { renditionOf } from '../support/inner/records.ts';

const made = (preset: string, width: number, height: number, recipe = 'r1') => ({
  ...renditionOf(1, 'vase', preset),
  id: 1,
  width,
  height,
  recipe,
});
const own = [made('thumb', 100, 80), made('card', 400, 320)];

/** A match with these renditions. */
const match = (id: number, renditions = own): NearMatch => ({
  id,
  uuid: `uuid-${id}`,
  distance: 1,
  difference: 1,
  reason: 'alike',
  hasAlpha: false,
  renditions,
});

const donorsOf = (matches: readonly NearMatch[], hasAlpha = false) =>
  possibleDonors(matches, { imageId: 9, hasAlpha, renditions: own }).map(({ match: { id } }) => id);

test('returns matches that have every rendition, in order', () => {
  expect(donorsOf([match(3), match(2)])).toEqual([3, 2]);
  expect(donorsOf([])).toEqual([]);
});

test("excludes newer images, because two that share each other's renditions would have no files", () => {
  expect(donorsOf([match(10), match(9)])).toEqual([]);
  expect(donorsOf([match(10), match(4)])).toEqual([4]);
});

test('excludes a transparent original for an opaque image, and vice versa', () => {
  expect(donorsOf([{ ...match(1), hasAlpha: true }])).toEqual([]);
  expect(donorsOf([match(1)], true)).toEqual([]);
  expect(donorsOf([{ ...match(1), hasAlpha: null }])).toEqual([]);
  expect(donorsOf([{ ...match(1), hasAlpha: true }], true)).toEqual([1]);
});

test.each([
  ['a preset is missing', [made('card', 400, 320)]],
  ['another recipe made it', [made('thumb', 100, 80), made('card', 400, 320, 'r0')]],
  ['it is narrower', [made('thumb', 100, 80), made('card', 398, 320)]],
  ['it is lower', [made('thumb', 100, 78), made('card', 400, 320)]],
  ['it is larger', [made('thumb', 100, 80), made('card', 800, 640)]],
])('excludes a match if %s', (_why, renditions) => {
  expect(donorsOf([match(1, renditions)])).toEqual([]);
});

test('tolerates rounding, and pairs only the presets of the image', () => {
  const donated = [made('zoom', 900, 800), made('card', 400, 319), made('thumb', 99, 80)];
  const [donor] = possibleDonors([match(1, donated)], { imageId: 9, hasAlpha: false, renditions: own });
  expect(donor?.pairs).toEqual([
    { own: own[0], donated: donated[2] },
    { own: own[1], donated: donated[1] },
  ]);
});
