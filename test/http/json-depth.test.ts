import { expect, test } from 'vitest';
import { isDeeperThan } from '../../src/http/bodies/json-body.ts';

test.each([
  ['', 0, false],
  ['1', 0, false],
  ['[]', 0, true],
  ['[]', 1, false],
  ['[{"a":[1]}]', 2, true],
  ['[{"a":[1]}]', 3, false],
  ['[[],[],[]]', 2, false],
  ['["[[[[\\"[[["]', 1, false],
  [String.raw`["\\",[]]`, 1, true],
])('reports whether %s is nested deeper than %i levels: %s', (json, maxDepth, isDeeper) => {
  expect(isDeeperThan(json, maxDepth)).toBe(isDeeper);
});
