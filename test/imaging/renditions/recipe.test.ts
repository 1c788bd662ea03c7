import { expect, test } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';

const preset = { name: 'card', width: 400, height: 400, quality: 85 };

test("computes the recipe hash from a preset's settings, but not from its name", () => {
  expect(recipeHash(preset)).toMatch(/^[0-9a-f]{10}$/);
  expect(recipeHash({ ...preset, name: 'other' })).toBe(recipeHash(preset));
  expect(recipeHash({ ...preset, quality: 86 })).not.toBe(recipeHash(preset));
  expect(recipeHash({ ...preset, width: 401 })).not.toBe(recipeHash(preset));
});
