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
const side = z.int().min(1).max(maxSide);
const quality = z.int().min(1).max(100);

const defaultTolerance = 10;

const trim = z
  .union([
    z.boolean(),
    z.strictObject({
      tolerance: z.int().min(0).max(255).default(defaultTolerance),
      margin: z.number().min(0).max(45).default(0),
    }),
  ])
  .transform((value): Trim | null => {
    if (typeof value === 'object') return value;
    return value ? { tolerance: defaultTolerance, margin: 0 } : null;
  });

const hasNoRepetition = (values: readonly unknown[]) => new Set(values).size === values.length;

const longForm = z.strictObject({
  width: side,
  height: side,
  fit: z.enum(fits).optional(),
  background: z
    .string()
    .transform((text) => text.toLowerCase())
    .refine(
      (text) => text === 'transparent' || /^#[0-9a-f]{6}$/.test(text),
      'must be `#rrggbb` or `transparent`',
    )
    .optional(),
  focus: z.enum(focuses).optional(),
  trim: trim.optional(),
  enlarge: z.boolean().optional(),
  formats: z
    .array(z.enum(renditionFormats))
    .min(1)
    .refine(hasNoRepetition, 'contains a format twice')
    .optional(),
  quality: z.union([quality, z.partialRecord(z.enum(renditionFormats), quality)]).optional(),
  densities: z
    .array(z.int().min(1).max(4))
    .refine((densities) => densities.includes(1), 'must contain 1')
    .refine(hasNoRepetition, 'contains a density twice')
    .transform((densities) => densities.toSorted((a, b) => a - b))
    .optional(),
  eager: z
    .union([z.enum(['first', 'all']), z.literal(false)])
    .transform((value) => (value === false ? ('none' as const) : value))
    .optional(),
  animation: z.enum(['still', 'keep']).optional(),
});

type Options = Omit<PresetOptions, 'name'>;

const box = z.union([
  side.transform((length): Options => ({ width: length, height: length })),
  z.tuple([side, side]).transform(([width, height]): Options => ({ width, height })),
  longForm.transform((options): Options => dropUndefined(options)),
]);

const presetsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9_-]{0,31}$/,
        'a preset name consists of 1–32 characters from a–z, 0–9, _ and -',
      ),
    box,
  )
  .refine((presets) => Object.keys(presets).length > 0, 'there must be at least one preset')
  .refine((presets) => Object.keys(presets).length <= 16, 'there must be at most 16 presets')
  .refine((presets) => !('original' in presets), 'the name `original` is reserved for the uploaded file');

/** Presets as a JSON object. */
export const presetList: Parser<readonly Preset[]> = {
  accepts:
    'a JSON object that maps each preset name to a side length (`1200`), a box (`[100, 100]`) or an object of options, such as `{"width": 400, "height": 400, "fit": "pad"}`',
  parse(text) {
    const result = presetsSchema.safeParse(parseJson(text));
    if (!result.success)
      throw new Error(`is invalid: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`);
    const presets = Object.entries(result.data).map(([name, options]) => makePreset({ name, ...options }));
    const contradiction = presets.map(findContradiction).find((sentence) => sentence !== undefined);
    if (contradiction !== undefined) throw new Error(`is invalid: ${contradiction}`);
    return presets;
  },
};

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
    return `${prefix} has the focus "${focus}", which only has an effect with "fit": "cover"`;
  if (trimming && fit === 'cover' && trimming.margin > 0)
    return `${prefix} has a margin, but "fit": "cover" leaves no room for one`;
  if (animation === 'keep' && !formats.includes('webp'))
    return `${prefix} keeps animations, which only webp can, but webp is not one of its formats`;
  if (animation === 'keep' && trimming) return `${prefix} keeps animations, which cannot be trimmed`;
  const largestSide = Math.max(width, height) * (densities.at(-1) ?? 1);
  if (largestSide > maxSide)
    return `${prefix} is ${largestSide} pixels long in its highest density; the limit is ${maxSide}`;
  return undefined;
}

function dropUndefined(options: z.infer<typeof longForm>): Options {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Options & { readonly formats?: readonly RenditionFormat[] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
}
