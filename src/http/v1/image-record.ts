import { z } from 'zod';
import { errorFamily } from '../../errors.ts';
import { isDuplicateTier } from '../../model/duplicates.ts';
import type { ImageWithRenditions, NearDuplicate } from '../../model/image.ts';
import { jobStates } from '../../model/job.ts';
import { pictureFormats } from '../../model/picture.ts';
import { renditionFormats } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { Rendition } from '../../model/rendition.ts';
import { makeDescribeDelivery } from '../../services/delivery/describe-delivery.ts';
import type { RouteDependencies } from '../route-plugin.ts';
import { deliverySchema, toDeliveryRecord } from './delivery-record.ts';
import { imageExample } from './examples.ts';
import { factsSchema, toFactsRecord, toWarningRecord, warningSchema } from './facts-record.ts';
import { pairFields, toPairRecord } from './pair-record.ts';
import { showSource, sourceDescription } from './source.ts';

const renditionSchema = z.object({
  id: z.int(),
  preset: z.string(),
  url: z
    .string()
    .describe(
      'Contains the recipe (a hash of the rendition settings), so the content at this URL never changes.',
    ),
  size_bytes: z.int(),
  width: z.int(),
  height: z.int(),
  quality: z.int().describe('Quality of the encoder, 1 to 100. It has no effect on PNG.'),
  format: z.enum(renditionFormats),
});

/** Schema of a focal point. */
export const focusSchema = z.object({
  x: z.number().min(0).max(1).describe('From the left edge (0) to the right edge (1) of the upright image.'),
  y: z.number().min(0).max(1).describe('From the top edge (0) to the bottom edge (1).'),
});

const nearDuplicateSchema = z.object({ id: z.int(), uuid: z.uuid(), ...pairFields });

const metadataSchema = z.object({
  format: z.enum(pictureFormats).nullable(),
  color_space: z.enum(['RGB', 'RGBA', 'L', 'LA', 'CMYK', 'P', 'I;16', 'LAB']).nullable(),
  frames: z.int().nullable(),
  has_alpha: z.boolean().nullable(),
  bit_depth: z.int().nullable().describe('Bits per channel.'),
});

/** Schema of an image in the `/v1` JSON format. */
export const imageSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid().describe('UUIDv7; accepted wherever an id is accepted.'),
    tenant: z.string(),
    tenant_id: z.int(),
    status: z.enum(jobStates),
    url: z.string().nullable().describe(`Source URL of an import. ${sourceDescription}`),
    error: z.string().nullable().describe('Why processing failed.'),
    error_code: z.string().nullable(),
    error_family: z
      .string()
      .nullable()
      .describe('`picture_damaged` if the image cannot be decoded; otherwise `null`.'),
    original_filename: z.string().nullable(),
    original_size_bytes: z.int().nullable(),
    original_width: z.int().nullable().describe('Width of the upright image, in pixels.'),
    original_height: z.int().nullable().describe('Height of the upright image, in pixels.'),
    content_hash: z.string().nullable().describe('SHA-256 of the original.'),
    in_use_count: z.int().describe('Number of references.'),
    near_duplicates: z
      .array(nearDuplicateSchema)
      .describe('Images of the tiers `identical`, `reencoded` and `edited`.'),
    renditions_reused_from: z
      .int()
      .nullable()
      .describe(
        'Id of the donor, an image with the same pixels. This image reuses the renditions of the donor.',
      ),
    duplicate_of: z
      .int()
      .nullable()
      .describe("Id of the tenant's first image with the same content; `null` if this image is the first."),
    damaged: z
      .boolean()
      .describe(
        'Whether the original is missing or truncated. To repair the image, upload the file again. Alternatively, put the file back into storage. The value then changes to `false` when the original is next downloaded, or at the next daily check of all files.',
      ),
    metadata: metadataSchema,
    facts: factsSchema
      .nullable()
      .describe('What was measured in the pixels; `null` until the renditions exist, and for older images.'),
    warnings: z
      .array(warningSchema)
      .describe('The intake rules of the tenant that the image broke when it was processed.'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    processed_at: z.iso.datetime().nullable(),
    focus: focusSchema
      .nullable()
      .describe('Point that presets with `"fit": "cover"` keep in view; `null` if the preset decides.'),
    delivery: deliverySchema,
    renditions: z
      .array(renditionSchema)
      .describe(
        'Renditions that have been created so far, in the first format of each preset. `delivery` contains all formats.',
      ),
  })
  .meta({
    id: 'Image',
    description: 'An image of a tenant. Values that are not known yet are `null`.',
    examples: [imageExample],
  });

/** Converts an image to the `/v1` JSON format for a caller. */
export type ToImageRecord = (image: ImageWithRenditions, viewer: Principal) => z.input<typeof imageSchema>;

/** @see ToImageRecord */
export function makeToImageRecord({
  presets,
  config,
}: Pick<RouteDependencies, 'presets' | 'config'>): ToImageRecord {
  const describeDelivery = makeDescribeDelivery(presets);
  const origin = config.server.publicOrigin ?? '';
  return (image, viewer) => ({
    ...toFacts(image, viewer),
    delivery: toDeliveryRecord(image.uuid, describeDelivery(image), origin),
    renditions: image.renditions
      .filter(({ isListed }) => isListed)
      .map((rendition) => toRenditionRecord(image.uuid, rendition)),
  });
}

function toFacts(
  image: ImageWithRenditions,
  viewer: Principal,
): Omit<z.input<typeof imageSchema>, 'delivery' | 'renditions'> {
  return {
    id: image.id,
    uuid: image.uuid,
    tenant: image.tenant,
    tenant_id: image.tenantId,
    status: image.status,
    url: image.url === null ? null : showSource(image.url, viewer),
    error: image.error,
    error_code: image.errorCode,
    error_family: errorFamily(image.errorCode),
    original_filename: image.filename,
    original_size_bytes: image.originalBytes,
    original_width: image.width,
    original_height: image.height,
    content_hash: image.contentHash,
    in_use_count: image.inUseCount,
    near_duplicates: image.nearDuplicates
      .filter(({ tier }) => isDuplicateTier(tier))
      .map(toNearDuplicateRecord),
    renditions_reused_from: image.renditionsReusedFrom,
    duplicate_of: image.duplicateOf,
    damaged: image.damagedAt !== null,
    metadata: {
      format: image.format,
      color_space: image.colorSpace,
      frames: image.frames,
      has_alpha: image.hasAlpha,
      bit_depth: image.bitDepth,
    },
    facts: image.intakeFacts && toFactsRecord(image.intakeFacts),
    warnings: image.warnings.map(toWarningRecord),
    created_at: image.createdAt.toISOString(),
    updated_at: image.updatedAt.toISOString(),
    processed_at: image.processedAt?.toISOString() ?? null,
    focus: image.focalPoint,
  };
}

function toNearDuplicateRecord({ id, uuid, ...pair }: NearDuplicate) {
  return { id, uuid, ...toPairRecord(pair) };
}

function toRenditionRecord(uuid: string, rendition: Rendition): z.input<typeof renditionSchema> {
  return {
    id: rendition.id,
    preset: rendition.preset,
    url: `/v1/images/${uuid}/renditions/${rendition.preset}?v=${rendition.recipe}`,
    size_bytes: rendition.bytes,
    width: rendition.width,
    height: rendition.height,
    quality: rendition.quality,
    format: rendition.format,
  };
}
