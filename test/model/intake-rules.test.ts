import { describe, expect, test } from 'vitest';
import type { IntakeFacts } from '../../src/model/intake-facts.ts';
import {
  describeViolation,
  findViolations,
  intakeRuleNames,
  type IntakeRules,
  readIntakeRules,
} from '../../src/model/intake-rules.ts';
import { intakeFacts } from '../support/inner/records.ts';

/** Facts that break every rule with the limits of `rules`, and the values that are reported. */
const badFacts: IntakeFacts = {
  sharpness: 12.5,
  exposure: { lightness: 50, clippedShadows: 0.1, clippedHighlights: 0.31 },
  background: { kind: 'mixed', color: '#808080', whiteShare: 0.2, plainShare: 0.4 },
  fill: 0.05,
  product: { left: 0.7, top: 0.4, width: 0.2, height: 0.25 },
  borders: { left: 0, top: 0.1, right: 0, bottom: 0.12 },
  upscaled: true,
  compression: { jpegQuality: 20, blockiness: 0.8, heavy: true },
  grey: true,
};
const rules = {
  min_sharpness: { action: 'reject', limit: 20 },
  min_white_share: { action: 'warn', limit: 0.9 },
  plain_background: { action: 'warn' },
  min_fill: { action: 'warn', limit: 0.1 },
  max_fill: { action: 'warn', limit: 0.04 },
  min_span: { action: 'warn', limit: 0.8 },
  max_off_centre: { action: 'warn', limit: 0.2 },
  max_clipping: { action: 'warn', limit: 0.2 },
  no_borders: { action: 'warn' },
  no_upscaling: { action: 'warn' },
  no_heavy_compression: { action: 'warn' },
  no_grey: { action: 'warn' },
} as const satisfies IntakeRules;

test('every rule finds its violation, with the limit and the value', () => {
  expect(Object.keys(rules)).toEqual(intakeRuleNames);
  const found = findViolations(badFacts, rules);
  expect(found.map(({ rule, limit, value }) => [rule, limit, value])).toEqual([
    ['min_sharpness', 20, 12.5],
    ['min_white_share', 0.9, 0.2],
    ['plain_background', null, 0.4],
    ['min_fill', 0.1, 0.05],
    ['max_fill', 0.04, 0.05],
    ['min_span', 0.8, 0.25],
    ['max_off_centre', 0.2, 0.3],
    ['max_clipping', 0.2, 0.31],
    ['no_borders', null, 0.12],
    ['no_upscaling', null, 1],
    ['no_heavy_compression', null, 20],
    ['no_grey', null, 1],
  ]);
  expect(found.filter(({ action }) => action === 'reject')).toHaveLength(1);
});

test('no rule finds anything in a good picture, nor at its limit, nor in a fact that is not known', () => {
  expect(findViolations(badFacts, {})).toEqual([]);
  const lenient = {
    ...rules,
    max_fill: { action: 'warn', limit: 0.5 },
    min_span: { action: 'warn', limit: 0.7 },
  } as const;
  expect(findViolations(intakeFacts, lenient)).toEqual([]);
  expect(findViolations(badFacts, { min_sharpness: { action: 'warn', limit: 12.5 } })).toEqual([]);
  const unknown: IntakeFacts = { ...badFacts, sharpness: null, fill: null, product: null };
  const { min_sharpness, min_fill, max_fill, min_span, max_off_centre } = rules;
  expect(findViolations(unknown, { min_sharpness, min_fill, max_fill, min_span, max_off_centre })).toEqual(
    [],
  );
});

test('sentences name the rule, the limit and the value', () => {
  const [sharpness, , background] = findViolations(badFacts, rules);
  expect(sharpness && describeViolation(sharpness)).toBe(
    'The sharpness is 12.5, but the rule min_sharpness requires at least 20.',
  );
  expect(background && describeViolation(background)).toBe(
    'The background has more than one colour, which the rule plain_background forbids.',
  );
  for (const violation of findViolations(badFacts, rules))
    expect(describeViolation(violation)).toMatch(/^[A-Z].+ rule [a-z_]+ .+\.$/);
});

describe('stored rules', () => {
  test('are read back, without what this version does not know', () => {
    expect(readIntakeRules(rules)).toEqual(rules);
    expect(
      readIntakeRules({
        min_sharpness: { action: 'reject', limit: 20 },
        min_beauty: { action: 'warn', limit: 1 },
        min_fill: { action: 'delete', limit: 0.1 },
        max_fill: { action: 'warn' },
        min_span: { action: 'warn', limit: 1.5 },
        no_grey: { action: 'warn', limit: 1 },
        no_borders: 'warn',
      }),
    ).toEqual({ min_sharpness: { action: 'reject', limit: 20 } });
  });

  test.each([null, [], 'warn', 5])('are not rules: %j', (stored) => {
    expect(readIntakeRules(stored)).toBeUndefined();
  });
});
