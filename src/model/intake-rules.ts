import { type IntakeFacts, offCentre, productSpan } from './intake-facts.ts';

/** What happens to a picture that breaks a rule: its record has a warning, or the picture is rejected. */
export const ruleActions = ['warn', 'reject'] as const;

/** @see ruleActions */
export type RuleAction = (typeof ruleActions)[number];

interface Rule {
  readonly about: string;
  /** `min` and `max` compare with a limit. A `flag` is broken by any value. */
  readonly kind: 'min' | 'max' | 'flag';
  /** Largest limit that can be set; the smallest is 0. `null` for a flag. */
  readonly maxLimit: number | null;
  /** For users: what is measured; for a flag, what is wrong. */
  readonly subject: string;
  /** Returns the measured value; `null` if it cannot be measured, or if a flag is not broken. */
  readonly measure: (facts: IntakeFacts) => number | null;
}

/**
 * All rules that a tenant can set for its pictures. The names are part of the API, and of stored settings and warnings. The
 * schemas of `/v1`, validation and sentences are derived from this table.
 */
export const intakeRules = {
  min_sharpness: {
    about: 'Least sharpness, 0 to 100.',
    kind: 'min',
    maxLimit: 100,
    subject: 'The sharpness',
    measure: ({ sharpness }) => sharpness,
  },
  min_white_share: {
    about: 'Least fraction of the border that is white.',
    kind: 'min',
    maxLimit: 1,
    subject: 'The white fraction of the border',
    measure: ({ background }) => background.whiteShare,
  },
  plain_background: {
    about: 'The background must be white or of one colour.',
    kind: 'flag',
    maxLimit: null,
    subject: 'The background has more than one colour',
    measure: ({ background }) => (background.kind === 'mixed' ? background.plainShare : null),
  },
  min_fill: {
    about: 'Least fraction of the image that the product covers.',
    kind: 'min',
    maxLimit: 1,
    subject: 'The fraction of the image that the product covers',
    measure: ({ fill }) => fill,
  },
  max_fill: {
    about: 'Largest fraction of the image that the product covers.',
    kind: 'max',
    maxLimit: 1,
    subject: 'The fraction of the image that the product covers',
    measure: ({ fill }) => fill,
  },
  min_span: {
    about: 'Least fraction of the width or height that the product spans; the larger of the two counts.',
    kind: 'min',
    maxLimit: 1,
    subject: 'The fraction of the width or height that the product spans',
    measure: ({ product }) => product && productSpan(product),
  },
  max_off_centre: {
    about:
      "Largest distance between the product's centre and the centre of the image, as a fraction of the width or height; the larger of the two counts.",
    kind: 'max',
    maxLimit: 0.5,
    subject: "The distance of the product's centre from the centre of the image",
    measure: ({ product }) => product && offCentre(product),
  },
  max_clipping: {
    about: 'Largest fraction of the product that is clipped in the shadows, or in the highlights.',
    kind: 'max',
    maxLimit: 1,
    subject: 'The clipped fraction of the product',
    measure: ({ exposure }) => Math.max(exposure.clippedShadows, exposure.clippedHighlights),
  },
  no_borders: {
    about: 'The image must not have a frame of uniform colour.',
    kind: 'flag',
    maxLimit: null,
    subject: 'The image has a frame of uniform colour',
    measure: ({ borders }) => Math.max(...Object.values(borders)) || null,
  },
  no_upscaling: {
    about: 'The image must not be an enlarged copy of a smaller one.',
    kind: 'flag',
    maxLimit: null,
    subject: 'The image looks like an enlarged copy of a smaller one',
    measure: ({ upscaled }) => (upscaled ? 1 : null),
  },
  no_heavy_compression: {
    about: 'The image must not be heavily compressed.',
    kind: 'flag',
    maxLimit: null,
    subject: 'The image is heavily compressed',
    measure: ({ compression }) =>
      compression.heavy ? (compression.jpegQuality ?? compression.blockiness) : null,
  },
  no_grey: {
    about: 'The image must have colours.',
    kind: 'flag',
    maxLimit: null,
    subject: 'The image has only shades of grey',
    measure: ({ grey }) => (grey ? 1 : null),
  },
} as const satisfies Readonly<Record<string, Rule>>;

/** @see intakeRules */
export type IntakeRuleName = keyof typeof intakeRules;

/** All rules, in the order of the documentation. */
export const intakeRuleNames = Object.keys(intakeRules) as readonly IntakeRuleName[];

/** A rule as a tenant has set it. `limit` is present exactly if the rule has limits. */
export interface RuleSetting {
  readonly action: RuleAction;
  readonly limit?: number | undefined;
}

/** The rules of a tenant. A rule that is missing is off. */
export type IntakeRules = { readonly [Name in IntakeRuleName]?: RuleSetting | undefined };

/** A rule that a picture broke. */
export interface Violation {
  readonly rule: IntakeRuleName;
  /** `null` if the rule has no limit. */
  readonly limit: number | null;
  /** The measured value; 1 if the rule only asks whether something is so. */
  readonly value: number;
}

/** Returns the rules that a picture breaks, with the action of each. What cannot be measured breaks no rule. */
export function findViolations(
  facts: IntakeFacts,
  rules: IntakeRules,
): (Violation & Pick<RuleSetting, 'action'>)[] {
  return intakeRuleNames.flatMap((rule) => {
    const setting = rules[rule];
    const measured = setting && intakeRules[rule].measure(facts);
    if (setting === undefined || measured === undefined || measured === null) return [];
    const { action, limit = null } = setting;
    const value = Math.round(measured * 1e4) / 1e4;
    return isBroken(rule, value, limit) ? [{ rule, action, limit, value }] : [];
  });
}

function isBroken(rule: IntakeRuleName, value: number, limit: number | null): boolean {
  const { kind } = intakeRules[rule];
  if (kind === 'flag' || limit === null) return kind === 'flag';
  return kind === 'min' ? value < limit : value > limit;
}

/** Describes a violation in a sentence for users. */
export function describeViolation({ rule, limit, value }: Violation): string {
  const { kind, subject } = intakeRules[rule];
  if (kind === 'flag') return `${subject}, which the rule ${rule} forbids.`;
  return `${subject} is ${value}, but the rule ${rule} requires at ${kind === 'min' ? 'least' : 'most'} ${limit}.`;
}

/**
 * Reads stored rules. Skips what this version does not know, because a newer one may have stored it. Equal rules have the
 * same order of fields.
 */
export function readIntakeRules(stored: unknown): IntakeRules | undefined {
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return undefined;
  const settings = stored as Readonly<Record<string, unknown>>;
  const known = intakeRuleNames.flatMap((name) => {
    const setting = readRuleSetting(name, settings[name]);
    return setting ? [[name, setting] as const] : [];
  });
  return Object.fromEntries(known);
}

function readRuleSetting(name: IntakeRuleName, stored: unknown): RuleSetting | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { action: storedAction, limit } = stored as { readonly action?: unknown; readonly limit?: unknown };
  const action = ruleActions.find((known) => known === storedAction);
  const { maxLimit }: Rule = intakeRules[name];
  if (action === undefined) return undefined;
  if (maxLimit === null) return limit === undefined ? { action } : undefined;
  return typeof limit === 'number' && limit >= 0 && limit <= maxLimit ? { action, limit } : undefined;
}
