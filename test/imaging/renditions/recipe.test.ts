import { describe, expect, test } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';
import { makePreset, type PresetOptions, type RenditionFormat } from '../../../src/model/preset.ts';

const point = { x: 0.25, y: 0.5 };

function recipeOf(
  options: Partial<PresetOptions>,
  {
    format = 'jpeg',
    density = 1,
    focalPoint = null,
  }: { format?: RenditionFormat; density?: number; focalPoint?: typeof point | null } = {},
): string {
  const preset = makePreset({ name: 'card', width: 400, height: 400, ...options });
  return recipeHash({ preset, format, density }, focalPoint);
}

test('is computed from the options of a preset, but not from its name', () => {
  expect(recipeOf({})).toMatch(/^[0-9a-f]{10}$/);
  expect(recipeOf({ name: 'other' })).toBe(recipeOf({}));
});

describe('changes with', () => {
  test.for<Partial<PresetOptions>>([
    { width: 401 },
    { height: 401 },
    { quality: 86 },
    { fit: 'pad' },
    { background: '#000000' },
    { trim: { tolerance: 10, margin: 0 } },
    { enlarge: true },
    { keepMetadata: ['ai'] },
  ])('%o', (options) => {
    expect(recipeOf(options)).not.toBe(recipeOf({}));
  });

  test('the format and the density', () => {
    expect(recipeOf({}, { format: 'webp' })).not.toBe(recipeOf({}));
    expect(recipeOf({}, { density: 2 })).not.toBe(recipeOf({}));
  });

  test('the focal point, but only if the preset cuts pictures off', () => {
    expect(recipeOf({ fit: 'cover' }, { focalPoint: point })).not.toBe(recipeOf({ fit: 'cover' }));
    expect(recipeOf({ fit: 'cover', focus: 'attention' })).not.toBe(recipeOf({ fit: 'cover' }));
    expect(recipeOf({}, { focalPoint: point })).toBe(recipeOf({}));
  });
});
