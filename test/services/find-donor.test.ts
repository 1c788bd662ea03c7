import { expect, test } from 'vitest';
import { findPossibleDonors } from '../../src/services/find-donor.ts';
import type { NearMatch } from '../../src/services/find-near-duplicates.ts';
import { makePair, makeRendition } from '../support/inner/records.ts';

const makeSizedRendition = (preset: string, width: number, height: number, recipe = 'r1') => ({
  ...makeRendition(1, 'vase', preset),
  id: 1,
  width,
  height,
  recipe,
});
const ownRenditions = [makeSizedRendition('thumb', 100, 80), makeSizedRendition('card', 400, 320)];

const makeMatch = (id: number, renditions = ownRenditions): NearMatch => ({
  ...makePair(id),
  distance: 1,
  difference: 1,
  contentHash: `hash-${id}`,
  hasAlpha: false,
  keptMetadata: '',
  renditions,
});

/** Finds possible donors: existing images whose renditions a new near-duplicate can reuse. */
const findDonorIds = (matches: readonly NearMatch[], hasAlpha = false) =>
  findPossibleDonors(matches, { imageId: 9, hasAlpha, keptMetadata: '', renditions: ownRenditions }).map(
    ({ match: { id } }) => id,
  );

test('returns the matches that have every rendition, in the given order', () => {
  expect(findDonorIds([makeMatch(3), makeMatch(2)])).toEqual([3, 2]);
  expect(findDonorIds([])).toEqual([]);
});

test("excludes newer images, because two images that reuse each other's renditions would have no files", () => {
  expect(findDonorIds([makeMatch(10), makeMatch(9)])).toEqual([]);
  expect(findDonorIds([makeMatch(10), makeMatch(4)])).toEqual([4]);
});

test('excludes a transparent match for an opaque image, and vice versa', () => {
  expect(findDonorIds([{ ...makeMatch(1), hasAlpha: true }])).toEqual([]);
  expect(findDonorIds([makeMatch(1)], true)).toEqual([]);
  expect(findDonorIds([{ ...makeMatch(1), hasAlpha: null }])).toEqual([]);
  expect(findDonorIds([{ ...makeMatch(1), hasAlpha: true }], true)).toEqual([1]);
});

test('excludes a match whose renditions keep other metadata, or whose metadata is unknown', () => {
  expect(findDonorIds([{ ...makeMatch(1), keptMetadata: 'a1b2' }])).toEqual([]);
  expect(findDonorIds([{ ...makeMatch(1), keptMetadata: null }])).toEqual([]);
});

test('excludes a match whose rendition has another format or density', () => {
  const [thumb, card] = ownRenditions;
  expect(findDonorIds([makeMatch(1, [thumb!, { ...card!, format: 'webp' }])])).toEqual([]);
  expect(findDonorIds([makeMatch(1, [thumb!, { ...card!, density: 2 }])])).toEqual([]);
});

test.each([
  ['a preset is missing', [makeSizedRendition('card', 400, 320)]],
  [
    'a rendition was made with different settings',
    [makeSizedRendition('thumb', 100, 80), makeSizedRendition('card', 400, 320, 'r0')],
  ],
  ['a rendition is narrower', [makeSizedRendition('thumb', 100, 80), makeSizedRendition('card', 398, 320)]],
  ['a rendition is shorter', [makeSizedRendition('thumb', 100, 78), makeSizedRendition('card', 400, 320)]],
  ['a rendition is larger', [makeSizedRendition('thumb', 100, 80), makeSizedRendition('card', 800, 640)]],
])('excludes a match if %s', (_reason, renditions) => {
  expect(findDonorIds([makeMatch(1, renditions)])).toEqual([]);
});

test('tolerates rounding differences in size, and ignores presets that the new image does not have', () => {
  const donorRenditions = [
    makeSizedRendition('zoom', 900, 800),
    makeSizedRendition('card', 400, 319),
    makeSizedRendition('thumb', 99, 80),
  ];
  const [donor] = findPossibleDonors([makeMatch(1, donorRenditions)], {
    imageId: 9,
    hasAlpha: false,
    keptMetadata: '',
    renditions: ownRenditions,
  });
  expect(donor?.pairs).toEqual([
    { ownRendition: ownRenditions[0], donorRendition: donorRenditions[2] },
    { ownRendition: ownRenditions[1], donorRendition: donorRenditions[1] },
  ]);
});
