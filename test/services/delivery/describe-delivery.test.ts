import { expect, test } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';
import { listedVariant, makePreset, type PresetOptions } from '../../../src/model/preset.ts';
import { makeDescribeDelivery } from '../../../src/services/delivery/describe-delivery.ts';
import { fixPresets } from '../../support/inner/fix-presets.ts';

type Image = Parameters<ReturnType<typeof makeDescribeDelivery>>[0];

const picture: Image = { status: 'completed', width: 1500, height: 1000, focalPoint: null, renditions: [] };

function describeSizes(options: Omit<PresetOptions, 'name'>, image: Partial<Image> = {}) {
  const preset = makePreset({ name: 'card', ...options });
  const [described] = makeDescribeDelivery(fixPresets([preset]))({ ...picture, ...image });
  return described!.variants.map(({ density, width, height }) => [density, width, height]);
}

test('gives the real size of each density, and lists equal sizes once', () => {
  const densities = [1, 2, 3, 4];
  expect(describeSizes({ width: 600, height: 600, densities })).toEqual([
    [1, 600, 400],
    [2, 1200, 800],
    [3, 1500, 1000],
  ]);
  expect(describeSizes({ width: 600, height: 600, fit: 'pad', densities })).toEqual([
    [1, 600, 600],
    [2, 1200, 1200],
    [3, 1500, 1500],
  ]);
  expect(describeSizes({ width: 600, height: 300, fit: 'cover', densities })).toEqual([
    [1, 600, 300],
    [2, 1200, 600],
    [3, 1500, 750],
  ]);
  expect(describeSizes({ width: 600, height: 600, fit: 'pad', enlarge: true, densities: [1, 4] })).toEqual([
    [1, 600, 600],
    [4, 2400, 2400],
  ]);
});

test('knows the size of a trimmed picture only if it fills the box, or once it has been made', () => {
  const trim = { tolerance: 10, margin: 5 };
  const padded = { width: 300, height: 200, fit: 'pad', trim, densities: [1, 2] } as const;
  expect(describeSizes(padded)).toEqual([
    [1, 300, 200],
    [2, null, null],
  ]);
  const options = { width: 300, height: 200, trim };
  expect(describeSizes(options)).toEqual([[1, null, null]]);
  const variant = listedVariant(makePreset({ name: 'card', ...options }));
  const makeRendition = (recipe: string) =>
    ({
      preset: 'card',
      format: 'jpeg',
      density: 1,
      recipe,
      width: 231,
      height: 200,
    }) as Image['renditions'][number];
  expect(describeSizes(options, { renditions: [makeRendition(recipeHash(variant, null))] })).toEqual([
    [1, 231, 200],
  ]);
  expect(describeSizes(options, { renditions: [makeRendition('0123456789')] })).toEqual([[1, null, null]]);
});

test('changes the recipes of presets that cut pictures off with the focal point', () => {
  const [inside, cover] = (['inside', 'cover'] as const).map((fit) =>
    makePreset({ name: fit, width: 9, height: 9, fit }),
  );
  const describe = makeDescribeDelivery(fixPresets([inside!, cover!]));
  const recipes = (focalPoint: Image['focalPoint']) =>
    describe({ ...picture, focalPoint }).map(({ variants }) => variants[0]?.recipes);
  const [before, after] = [recipes(null), recipes({ x: 0.2, y: 0.7 })];
  expect(after[0]).toEqual(before[0]);
  expect(after[1]).not.toEqual(before[1]);
  // Remembered recipes are those of images without a focal point.
  expect(recipes(null)).toEqual(before);
  expect(before[1]).toEqual({
    jpeg: recipeHash({ preset: cover!, format: 'jpeg', density: 1 }, null),
    webp: recipeHash({ preset: cover!, format: 'webp', density: 1 }, null),
    avif: recipeHash({ preset: cover!, format: 'avif', density: 1 }, null),
  });
});

test('describes nothing of an image whose size is unknown or whose processing failed', () => {
  const describe = makeDescribeDelivery(fixPresets([makePreset({ name: 'card', width: 9, height: 9 })]));
  expect(describe({ ...picture, width: null, height: null })).toEqual([]);
  expect(describe({ ...picture, status: 'failed' })).toEqual([]);
  expect(describe({ ...picture, status: 'processing' })).toHaveLength(1);
});
