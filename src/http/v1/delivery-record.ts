import { z } from 'zod';
import { type RenditionFormat, renditionFormats } from '../../model/preset.ts';
import { renditionPath } from '../../model/rendition-address.ts';
import type { PresetDelivery } from '../../services/delivery/describe-delivery.ts';

const perFormat = (description: string) =>
  z.partialRecord(z.enum(renditionFormats), z.string()).describe(description);

const presetDeliverySchema = z.object({
  formats: perFormat(
    'URL of each format, at density 1. Contains the recipe (a hash of everything that determines the file), so its content never changes.',
  ),
  negotiated: z.string().describe('URL at which the format is chosen by `Accept`.'),
  width: z
    .int()
    .nullable()
    .describe(
      'Width at density 1, in pixels. `null` if the preset trims images and the rendition has not been made yet.',
    ),
  height: z.int().nullable(),
  srcset: z
    .string()
    .describe(
      'Value of the HTML attribute `srcset`, with the actual width of each density, for `negotiated`.',
    ),
  srcsets: perFormat('Like `srcset`, for each format.'),
});

/** Schema of the URLs of an image's renditions, by preset. */
export const deliverySchema = z
  .record(z.string(), presetDeliverySchema)
  .describe(
    'What web pages need to show the image, by preset. Renditions that do not exist yet are made when they are first requested. Empty if the image cannot be shown.',
  );

/**
 * Converts what can be delivered of an image to JSON.
 * @param origin prefix of all URLs; empty for paths
 */
export function toDeliveryRecord(
  uuid: string,
  presets: readonly PresetDelivery[],
  origin: string,
): z.input<typeof deliverySchema> {
  return Object.fromEntries(presets.map((preset) => [preset.preset, toPresetRecord(uuid, preset, origin)]));
}

function toPresetRecord(
  uuid: string,
  { preset, formats, variants }: PresetDelivery,
  origin: string,
): z.input<typeof presetDeliverySchema> {
  const [single] = variants;
  const urlOf = (density: number, format?: RenditionFormat) => {
    const recipe = variants.find((variant) => variant.density === density)?.recipes[format ?? 'jpeg'];
    const name =
      format === undefined ? { preset, density } : { preset, density, format, ...(recipe && { recipe }) };
    return `${origin}${renditionPath(uuid, name)}`;
  };
  const srcsetOf = (format?: RenditionFormat) =>
    formatSrcset(variants.map(({ density, width }) => ({ url: urlOf(density, format), width })));
  const mapFormats = (toText: (format: RenditionFormat) => string) =>
    Object.fromEntries(formats.map((format) => [format, toText(format)]));
  return {
    formats: mapFormats((format) => urlOf(1, format)),
    negotiated: urlOf(1),
    width: single?.width ?? null,
    height: single?.height ?? null,
    srcset: srcsetOf(),
    srcsets: mapFormats(srcsetOf),
  };
}

/**
 * Densities of unknown width are omitted. If this leaves nothing, the first is listed without a width, because browsers
 * ignore an empty list.
 */
function formatSrcset(
  candidates: readonly { readonly url: string; readonly width: number | null }[],
): string {
  const known = candidates.flatMap(({ url, width }) => (width === null ? [] : [`${url} ${width}w`]));
  return known.length > 0 ? known.join(', ') : (candidates[0]?.url ?? '');
}
