import { z } from 'zod';
import { listedVariant, type Preset } from '../../../model/preset.ts';
import { mediaTypes, type PictureFormat } from '../../../model/picture.ts';
import { version } from '../../../version.ts';
import { responses, json } from '../../openapi/responses.ts';
import type { HttpConfig, RoutePlugin } from '../../route-plugin.ts';

/** File name extensions of each format. */
const extensionsByFormat: Readonly<Record<PictureFormat, readonly string[]>> = {
  jpeg: ['.jpg', '.jpeg'],
  png: ['.png'],
  gif: ['.gif'],
  webp: ['.webp'],
  avif: ['.avif'],
  heic: ['.heic', '.heif'],
  tiff: ['.tif', '.tiff'],
  bmp: ['.bmp'],
};

const infoSchema = z.object({
  name: z.string(),
  version: z.string(),
  max_file_size: z.int().describe('Maximum size of an upload, in bytes.'),
  max_pixels: z.int().describe('Maximum number of pixels (width × height).'),
  max_frames: z.int(),
  allowed_types: z
    .array(z.string())
    .describe('Media types. The format of a file is detected from its content.'),
  allowed_extensions: z.array(z.string()),
  similarity_threshold: z.number().describe('Default minimum score.'),
  max_similar_results: z.int().describe('Default number of results.'),
  presets: z.record(z.string(), z.object({ width: z.int(), height: z.int(), quality: z.int() })),
});

/** Route that returns the effective limits and the accepted formats. */
export const infoRoutes: RoutePlugin = (app, { config, presets }) => {
  const schema = {
    tags: ['Similarity dialect'],
    summary: 'Get the effective limits and accepted formats',
    response: responses({ 200: json(infoSchema, 'The limits and formats.') }),
  };
  app.get('/info', { config: { access: 'open' }, schema }, () => toInfoRecord(config, presets.list()));
};

function toInfoRecord(
  { uploads, similarity }: HttpConfig,
  presets: readonly Preset[],
): z.input<typeof infoSchema> {
  const { allowedFormats, maxPixels, maxFrames } = uploads;
  return {
    name: 'Vitrine',
    version,
    max_file_size: uploads.maxBytes,
    max_pixels: maxPixels,
    max_frames: maxFrames,
    allowed_types: allowedFormats.map((format) => mediaTypes[format]),
    allowed_extensions: allowedFormats.flatMap((format) => extensionsByFormat[format]),
    similarity_threshold: similarity.threshold,
    max_similar_results: similarity.maxResults,
    presets: Object.fromEntries(
      presets.map((preset) => {
        const { name, width, height, quality } = preset;
        return [name, { width, height, quality: quality[listedVariant(preset).format] }];
      }),
    ),
  };
}
