import { expect, test } from 'vitest';
import { recipeOf } from '../../../src/imaging/renditions/recipe.ts';

const preset = { name: 'card', width: 400, height: 400, quality: 85 };

test('derives the recipe from the settings of a preset, not from its name', () => {
  expect(recipeOf(preset)).toMatch(/^[0-9a-f]{10}$/);
  expect(recipeOf({ ...preset, name: 'other' })).toBe(recipeOf(preset));
  expect(recipeOf({ ...preset, quality: 86 })).not.toBe(recipeOf(preset));
  expect(recipeOf({ ...preset, width: 401 })).not.toBe(recipeOf(preset));
});
