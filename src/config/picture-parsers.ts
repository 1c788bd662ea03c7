import { z } from 'zod';
import { type PictureFormat, pictureFormats } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import type { Parser } from './parsers.ts';

const formatsByExtension: Readonly<Record<string, PictureFormat>> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  jpe: 'jpeg',
  jfif: 'jpeg',
  png: 'png',
  apng: 'png',
  gif: 'gif',
  webp: 'webp',
  avif: 'avif',
  tif: 'tiff',
  tiff: 'tiff',
  bmp: 'bmp',
  dib: 'bmp',
};

/** Picture formats, given as file extensions. */
export const formatList: Parser<readonly PictureFormat[]> = {
  accepts: `comma-separated extensions from ${Object.keys(formatsByExtension).join(', ')}`,
  parse(text) {
    const words = text.toLowerCase().split(/[\s,;]+/);
    const extensions = words.map((word) => word.replace(/^\./, '')).filter(Boolean);
    const unknownExtensions = extensions.filter((extension) => !Object.hasOwn(formatsByExtension, extension));
    if (unknownExtensions.length > 0)
      throw new Error(`contains ${unknownExtensions.join(', ')}, which Vitrine does not support`);
    if (extensions.length === 0) throw new Error('contains no format');
    return pictureFormats.filter((format) =>
      extensions.some((extension) => formatsByExtension[extension] === format),
    );
  },
};

const side = z.int().min(1).max(16_383);
const quality = z.int().min(1).max(100);
const box = z.union([
  side.transform((length) => ({ width: length, height: length, quality: undefined })),
  z.tuple([side, side]).transform(([width, height]) => ({ width, height, quality: undefined })),
  z.strictObject({ width: side, height: side, quality: quality.optional() }),
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

/** JPEG quality of presets that do not specify a quality. */
export const defaultQuality = 85;

/** Presets as a JSON object. */
export const presetList: Parser<readonly Preset[]> = {
  accepts:
    'a JSON object that maps each preset name to a side length (`1200`), a box (`[100, 100]`) or `{"width": 400, "height": 400, "quality": 85}`',
  parse(text) {
    const result = presetsSchema.safeParse(parseJson(text));
    if (!result.success)
      throw new Error(`is invalid: ${z.prettifyError(result.error).replaceAll('\n', ' ')}`);
    return Object.entries(result.data).map(([name, { width, height, quality }]) => ({
      name,
      width,
      height,
      quality: quality ?? defaultQuality,
    }));
  },
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
}

/** The size of a box in pixels, such as `200` or `200x200`. */
export const thumbnailSize: Parser<{ width: number; height: number }> = {
  accepts: 'a size in pixels, such as `100` or `100x100`',
  parse(text) {
    const match = /^\s*(\d{1,5})(?:\s*[x,×]\s*(\d{1,5}))?\s*$/i.exec(text);
    const width = Number(match?.[1]);
    const height = Number(match?.[2] ?? match?.[1]);
    if (!match || width < 1 || height < 1 || width > 16_383 || height > 16_383)
      throw new Error('is not a size');
    return { width, height };
  },
};
