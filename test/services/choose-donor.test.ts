import { expect, test } from 'vitest';
import { chooseDonor } from '../../src/services/choose-donor.ts';
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

/** An older image with these renditions. */
const match = (id: number, renditions = own): NearMatch => ({
  id,
  uuid: `uuid-${id}`,
  distance: 1,
  difference: 1,
  reason: 'alike',
  renditions,
});

test('the nearest match that has every rendition lends them', () => {
  expect(chooseDonor([match(3), match(2)], own, 9)?.id).toBe(3);
  expect(chooseDonor([], own, 9)).toBeUndefined();
});

test('a newer image lends nothing: two that borrow from each other would have no files', () => {
  expect(chooseDonor([match(10), match(9)], own, 9)).toBeUndefined();
  expect(chooseDonor([match(10), match(4)], own, 9)?.id).toBe(4);
});

test.each([
  ['a preset is missing', [made('card', 400, 320)]],
  ['another recipe made it', [made('thumb', 100, 80), made('card', 400, 320, 'r0')]],
  ['it is narrower', [made('thumb', 100, 80), made('card', 398, 320)]],
  ['it is lower', [made('thumb', 100, 78), made('card', 400, 320)]],
])('a match lends nothing when %s', (_why, renditions) => {
  expect(chooseDonor([match(1, renditions)], own, 9)).toBeUndefined();
});

test.each([
  ['as large but for a rounding', [made('thumb', 99, 80), made('card', 400, 319)]],
  ['larger', [made('thumb', 120, 100), made('card', 800, 640)]],
  ['more of them', [...own, made('zoom', 900, 800)]],
])('a match lends renditions that are %s', (_what, renditions) => {
  expect(chooseDonor([match(1, renditions)], own, 9)?.id).toBe(1);
});
