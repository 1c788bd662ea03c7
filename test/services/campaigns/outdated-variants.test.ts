import { expect, test } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';
import { makePreset, type PresetOptions, type Variant } from '../../../src/model/preset.ts';
import {
  findOutdatedVariants,
  listExpectedVariants,
} from '../../../src/services/campaigns/outdated-variants.ts';

const makeCard = (options: Partial<PresetOptions> = {}) =>
  makePreset({
    name: 'card',
    width: 40,
    height: 40,
    formats: ['jpeg', 'webp'],
    densities: [1, 2],
    ...options,
  });
const point = { x: 0.25, y: 0.75 };

const recordCurrent = (variant: Variant, focalPoint: typeof point | null = null) => ({
  preset: variant.preset.name,
  format: variant.format,
  density: variant.density,
  recipe: recipeHash(variant, focalPoint),
});
const describeVariant = ({ format, density }: Variant) => `${format} ${density}`;

test('lists every variant of the presets, with its recipe and whether it is made at intake', () => {
  const card = makeCard();
  expect(listExpectedVariants([card])).toEqual(
    (['jpeg', 'webp'] as const).flatMap((format) =>
      [1, 2].map((density) => ({
        preset: 'card',
        format,
        density,
        recipe: recipeHash({ preset: card, format, density }, null),
        usesFocalPoint: false,
        isEager: format === 'jpeg' && density === 1,
      })),
    ),
  );
  expect(
    listExpectedVariants([makeCard({ fit: 'cover' })]).every(({ usesFocalPoint }) => usesFocalPoint),
  ).toBe(true);
});

test('finds missing variants that are made at intake', () => {
  const missing = (eager: 'first' | 'none' | 'all') =>
    findOutdatedVariants([makeCard({ eager })], [], null).map(describeVariant);
  expect(missing('first')).toEqual(['jpeg 1']);
  expect(missing('all')).toEqual(['jpeg 1', 'webp 1']);
  expect(missing('none')).toEqual([]);
});

test('finds recorded variants with another recipe, of the chosen presets only', () => {
  const before = makeCard({ quality: 70 });
  const after = makeCard({ quality: 90 });
  const recorded = [
    recordCurrent({ preset: before, format: 'jpeg', density: 1 }),
    recordCurrent({ preset: before, format: 'webp', density: 2 }),
    recordCurrent({ preset: after, format: 'jpeg', density: 2 }),
    recordCurrent({ preset: makePreset({ name: 'zoom', width: 9, height: 9 }), format: 'jpeg', density: 1 }),
  ];
  expect(findOutdatedVariants([after], recorded, null).map(describeVariant)).toEqual(['jpeg 1', 'webp 2']);
  expect(findOutdatedVariants([before], recorded.slice(0, 2), null)).toEqual([]);
});

test('ignores recorded variants that the preset no longer offers', () => {
  const recorded = [
    recordCurrent({ preset: makeCard(), format: 'jpeg', density: 1 }),
    recordCurrent({ preset: makeCard({ formats: ['jpeg', 'avif'] }), format: 'avif', density: 1 }),
  ];
  expect(findOutdatedVariants([makeCard()], recorded, null)).toEqual([]);
});

test('takes the focal point into account where the preset cuts pictures off', () => {
  const cover = makeCard({ fit: 'cover' });
  const recorded = [recordCurrent({ preset: cover, format: 'jpeg', density: 1 }, point)];
  expect(findOutdatedVariants([cover], recorded, point)).toEqual([]);
  expect(findOutdatedVariants([cover], recorded, null).map(describeVariant)).toEqual(['jpeg 1']);
  const inside = [recordCurrent({ preset: makeCard(), format: 'jpeg', density: 1 })];
  expect(findOutdatedVariants([makeCard()], inside, point)).toEqual([]);
});
