import { z } from 'zod';
import {
  fits,
  focuses,
  metadataKinds,
  type Preset,
  renditionFormats,
  type RenditionFormat,
} from '../../model/preset.ts';
import { formatRenditionName } from '../../model/rendition-address.ts';
import { json, responses } from '../openapi/responses.ts';
import type { RoutePlugin } from '../route-plugin.ts';

const qualitySchema = z.int().min(1).max(100);

const presetSchema = z.object({
  width: z.int(),
  height: z.int(),
  fit: z.enum(fits),
  background: z.string().describe('`#rrggbb` or `transparent`.'),
  focus: z.enum(focuses),
  trim: z
    .union([z.literal(false), z.object({ tolerance: z.int(), margin: z.number() })])
    .describe('`false` if borders are kept.'),
  enlarge: z.boolean(),
  formats: z.array(z.enum(renditionFormats)),
  quality: z.partialRecord(z.enum(renditionFormats), qualitySchema),
  densities: z.array(z.int()),
  eager: z.union([z.enum(['first', 'all']), z.literal(false)]),
  animation: z.enum(['still', 'keep']),
});

const presetsSchema = z.object({
  presets: z
    .record(z.string(), presetSchema)
    .describe('All presets with all of their options, in the spelling of the setting `PRESETS`.'),
  keep_metadata: z.array(z.enum(metadataKinds)).describe('The setting `KEEP_METADATA`.'),
  variants: z
    .record(z.string(), z.array(z.string()))
    .describe('The files that each preset can yield for an image, by their names without the recipe.'),
  variants_per_image: z.int().describe('Maximum number of files per image.'),
  version: z
    .int()
    .describe('Number of the current version of the presets. It increases whenever they change.'),
  warning: z
    .string()
    .nullable()
    .describe('Why these presets are not those of the process that responds; `null` if they are.'),
});

/** Route that shows the presets in force. */
export const presetRoutes: RoutePlugin = (app, { presets }) => {
  app.get(
    '/presets',
    {
      config: { access: 'images.read' },
      schema: {
        tags: ['Pictures'],
        summary: 'List the presets',
        description: 'The presets apply to the whole installation, and so to all tenants.',
        response: responses({ 200: json(presetsSchema, 'The presets in force.') }, 'invalid_request'),
      },
    },
    () => {
      const list = presets.list();
      const variants = list.map((preset) => [preset.name, listNames(preset)] as const);
      return {
        presets: Object.fromEntries(list.map((preset) => [preset.name, toPresetRecord(preset)])),
        keep_metadata: [...(list[0]?.keepMetadata ?? [])],
        variants: Object.fromEntries(variants),
        variants_per_image: variants.reduce((sum, [, names]) => sum + names.length, 0),
        version: presets.version(),
        warning: presets.warning() ?? null,
      };
    },
  );
};

/** Returns the names of all variants of a preset, as they appear in URLs. */
function listNames({ name: preset, formats, densities }: Preset): string[] {
  return densities.flatMap((density) =>
    formats.map((format) => formatRenditionName({ preset, density, format })),
  );
}

function toPresetRecord(preset: Preset): z.input<typeof presetSchema> {
  const { name: _name, keepMetadata: _keepMetadata, ...options } = preset;
  const { formats, quality, densities, eager, trim } = options;
  const ofFormats = formats.map((format): [RenditionFormat, number] => [format, quality[format]]);
  return {
    ...options,
    trim: trim ?? false,
    formats: [...formats],
    quality: Object.fromEntries(ofFormats),
    densities: [...densities],
    eager: eager === 'none' ? false : eager,
  };
}
