import { z } from 'zod';
import { fits, focuses, metadataKinds, type Preset, renditionFormats } from '../model/preset.ts';

const quality = z.int().min(1).max(100);
const side = z.int().min(1);

/**
 * Schema of a stored preset. It rejects unknown options and values, because a rendition that ignores an option of a newer
 * version would be a different picture.
 */
const storedPreset = z.strictObject({
  name: z.string(),
  width: side,
  height: side,
  fit: z.enum(fits),
  background: z.string().regex(/^(?:transparent|#[0-9a-f]{6})$/),
  focus: z.enum(focuses),
  trim: z.strictObject({ tolerance: z.number(), margin: z.number() }).nullable(),
  enlarge: z.boolean(),
  formats: z.array(z.enum(renditionFormats)).min(1),
  quality: z.strictObject({ jpeg: quality, webp: quality, avif: quality, png: quality }),
  densities: z.array(z.number()).min(1),
  eager: z.enum(['first', 'none', 'all']),
  animation: z.enum(['still', 'keep']),
  keepMetadata: z.array(z.enum(metadataKinds)),
}) satisfies z.ZodType<Preset>;

const storedPresets = z.array(storedPreset);

/** Parses stored presets. Returns `undefined` if a newer version of the program has stored options that this one lacks. */
export function parseStoredPresets(value: unknown): readonly Preset[] | undefined {
  const result = storedPresets.safeParse(value);
  return result.success ? result.data : undefined;
}
