import { z } from 'zod';
import {
  fits,
  focuses,
  makePreset,
  type Preset,
  type PresetOptions,
  type RenditionFormat,
  renditionFormats,
  type Trim,
} from '../model/preset.ts';
import type { Parser } from './parsers.ts';

const maxSide = 16_383;

/** Builds the message of an option, which says what values it accepts. */
const must = (what: string) => ({
  error: ({ input }: { readonly input?: unknown }) =>
    input === undefined ? `is missing; it must be ${what}` : `must be ${what}`,
});
const listWords = (words: readonly string[]) => words.map((word) => `"${word}"`).join(', ');
const wordOf = <const T extends string>(words: readonly T[]) =>
  z.enum(words, must(`one of ${listWords(words)}`));
const numberOf = (schema: z.ZodInt | z.ZodNumber, min: number, max: number, noun = 'a number') =>
  schema.min(min, must(`${noun} from ${min} to ${max}`)).max(max, must(`${noun} from ${min} to ${max}`));
const wholeNumberOf = (min: number, max: number) =>
  numberOf(z.int(must(`a whole number from ${min} to ${max}`)), min, max, 'a whole number');

/** Messages for objects: an unknown option, or a value that is not an object. */
const withoutOther = (otherwise: string) => ({
  error: (issue: { readonly code: string; readonly keys?: readonly string[] }) =>
    issue.code === 'unrecognized_keys' ? `has no option ${listWords(issue.keys ?? [])}` : otherwise,
});

const side = wholeNumberOf(1, maxSide);
const qualityRange = 'a whole number from 1 to 100';
const qualityNumber = wholeNumberOf(1, 100);
const defaultTolerance = 10;
const hasNoDuplicates = (values: readonly unknown[]) => new Set(values).size === values.length;

const trim = z
  .union(
    [
      z.boolean(),
      z.strictObject(
        {
          tolerance: wholeNumberOf(0, 255).default(defaultTolerance),
          margin: numberOf(z.number(must('a number from 0 to 45')), 0, 45).default(0),
        },
        withoutOther('must be `true`, `false` or an object'),
      ),
    ],
    must('`true`, `false`, or an object with a tolerance from 0 to 255 and a margin from 0 to 45'),
  )
  .transform((value): Trim | null => {
    if (typeof value === 'object') return value;
    return value ? { tolerance: defaultTolerance, margin: 0 } : null;
  });

const qualityFields = {
  jpeg: qualityNumber.optional(),
  webp: qualityNumber.optional(),
  avif: qualityNumber.optional(),
  png: qualityNumber.optional(),
};

const longForm = z.strictObject(
  {
    width: side,
    height: side,
    fit: wordOf(fits).optional(),
    background: z
      .string(must('`#rrggbb` or `transparent`'))
      .transform((text) => text.toLowerCase())
      .refine(
        (text) => text === 'transparent' || /^#[0-9a-f]{6}$/.test(text),
        must('`#rrggbb` or `transparent`'),
      )
      .optional(),
    focus: wordOf(focuses).optional(),
    trim: trim.optional(),
    enlarge: z.boolean(must('`true` or `false`')).optional(),
    formats: z
      .array(wordOf(renditionFormats), must('a list of formats'))
      .min(1, must('a list of at least one format'))
      .refine(hasNoDuplicates, must('a list without duplicates'))
      .optional(),
    quality: z
      .union(
        [qualityNumber, z.strictObject(qualityFields, withoutOther(''))],
        must(`${qualityRange}, or an object with such a number for any of ${listWords(renditionFormats)}`),
      )
      .optional(),
    densities: z
      .array(wholeNumberOf(1, 4), must('a list of whole numbers from 1 to 4'))
      .refine((densities) => densities.includes(1), must('a list that contains 1'))
      .refine(hasNoDuplicates, must('a list without duplicates'))
      .transform((densities) => densities.toSorted((a, b) => a - b))
      .optional(),
    eager: z
      .union([z.enum(['first', 'all']), z.literal(false)], must('"first", "all" or `false`'))
      .transform((value) => (value === false ? ('none' as const) : value))
      .optional(),
    animation: wordOf(['still', 'keep']).optional(),
  },
  withoutOther('must be a side length, a box or an object of options'),
);

type Options = Omit<PresetOptions, 'name'>;

const shortForm = side.transform((length): Options => ({ width: length, height: length }));
const pairForm = z
  .tuple([side, side], must('a pair of a width and a height'))
  .transform(([width, height]): Options => ({ width, height }));
const objectForm = longForm.transform((options): Options => dropUndefined(options));

/** Selects the form first, so that messages are about the intended form. */
const box = z.unknown().transform((value, context): Options => {
  const isPair = Array.isArray(value);
  const form = typeof value === 'number' ? shortForm : isPair ? pairForm : objectForm;
  const result = form.safeParse(value);
  if (result.success) return result.data;
  for (const { message, path } of result.error.issues)
    context.issues.push({ code: 'custom', message, path, input: value });
  return z.NEVER;
});

const presetsSchema = z
  .record(
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, {
      error: 'must have a name of 1–32 characters from a–z, 0–9, _ and -, starting with a letter or digit',
    }),
    box,
    must('a JSON object'),
  )
  .refine((presets) => Object.keys(presets).length > 0, { error: 'must contain at least one preset' })
  .refine((presets) => Object.keys(presets).length <= 16, { error: 'must contain at most 16 presets' })
  .refine((presets) => !('original' in presets), {
    error: 'must not contain the name `original`, which is reserved for the uploaded file',
  });

/** Presets as a JSON object. */
export const presetList: Parser<readonly Preset[]> = {
  accepts:
    'a JSON object that maps each preset name to a side length (`1200`), a box (`[100, 100]`) or an object of options, such as `{"width": 400, "height": 400, "fit": "pad"}`',
  parse(text) {
    const result = presetsSchema.safeParse(parseJson(text));
    if (!result.success) throw new Error(`is invalid: ${result.error.issues.map(describeIssue).join('; ')}`);
    const presets = Object.entries(result.data).map(([name, options]) => ({
      preset: makePreset({ name, ...options }),
      options,
    }));
    const contradiction = presets
      .map(({ preset, options }) => findContradiction(preset) ?? findUselessQuality(preset, options))
      .find((sentence) => sentence !== undefined);
    if (contradiction !== undefined) throw new Error(`is invalid: ${contradiction}`);
    return presets.map(({ preset }) => preset);
  },
};

/** Returns what is wrong with a value, as a clause. */
function describeIssue(issue: z.core.$ZodIssue): string {
  const [name, ...option] = issue.path.filter((part) => typeof part === 'string');
  if (name === undefined) return `it ${issue.message}`;
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? '') : issue.message;
  const preset = `the preset ${JSON.stringify(name)}`;
  return option.length === 0
    ? `${preset} ${message}`
    : `the option "${option.join('.')}" of ${preset} ${message}`;
}

/** Returns why a preset cannot work, as a clause. */
function findContradiction(preset: Preset): string | undefined {
  const {
    name,
    width,
    height,
    fit,
    background,
    focus,
    trim: trimming,
    formats,
    densities,
    animation,
  } = preset;
  const prefix = `the preset "${name}"`;
  if (background === 'transparent' && formats.includes('jpeg'))
    return `${prefix} has a transparent background and the format jpeg, which has no transparency`;
  if (focus !== 'center' && fit !== 'cover')
    return `${prefix} has the focus "${focus}", which has an effect only with "fit": "cover"`;
  if (trimming && fit === 'cover' && trimming.margin > 0)
    return `${prefix} has a margin, but "fit": "cover" leaves no room for one`;
  if (animation === 'keep' && !formats.includes('webp'))
    return `${prefix} has "animation": "keep", which requires the format webp`;
  if (animation === 'keep' && trimming)
    return `${prefix} has "animation": "keep" and "trim", but animations cannot be trimmed`;
  const largestSide = Math.max(width, height) * (densities.at(-1) ?? 1);
  if (largestSide > maxSide)
    return `${prefix} has a side of ${largestSide} pixels at its highest density; the limit is ${maxSide}`;
  return undefined;
}

/**
 * Returns which quality has no effect, as a clause. That of JPEG always has one: it is the default of the other formats, so that
 * they look the same.
 */
function findUselessQuality({ name, formats }: Preset, { quality }: Options): string | undefined {
  if (typeof quality !== 'object') return undefined;
  const useless = (['webp', 'avif', 'png'] as const).find(
    (format) => quality[format] !== undefined && !formats.includes(format),
  );
  return (
    useless &&
    `the preset "${name}" has a quality for ${useless}, which is not one of its formats (${formats.join(', ')})`
  );
}

function dropUndefined(options: z.infer<typeof longForm>): Options {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Options & { readonly formats?: readonly RenditionFormat[] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('is not JSON (in a shell or a .env file, put it into single quotes)');
  }
}
