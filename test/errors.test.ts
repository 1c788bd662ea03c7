import { expect, test } from 'vitest';
import { AppError, findMatchingCodes, errorFamily } from '../src/errors.ts';
import { toProblem } from '../src/http/responses/problems.ts';

const familyCodes = ['picture_cut', 'picture_corrupt', 'picture_unsupported', 'picture_unreadable'] as const;

test('assigns every error code for an undecodable picture to the family picture_damaged', () => {
  for (const code of familyCodes) {
    expect(toProblem(new AppError(code, 'No.'))).toMatchObject({
      code,
      family: 'picture_damaged',
      status: 400,
    });
  }
  expect(errorFamily('picture_damaged')).toBe('picture_damaged');
  expect(toProblem(new AppError('picture_too_large', 'No.'))).not.toHaveProperty('family');
  for (const code of [null, 'picture_too_large', 'a_code_of_another_version', 'toString']) {
    expect(errorFamily(code)).toBeNull();
  }
});

test('expands a family to all of its codes, and any other code to itself', () => {
  expect(findMatchingCodes('picture_damaged')).toEqual([...familyCodes, 'picture_damaged']);
  expect(findMatchingCodes('picture_cut')).toEqual(['picture_cut']);
  expect(findMatchingCodes('a_code_of_another_version')).toEqual(['a_code_of_another_version']);
});
