import type { ImageWithRenditions } from '../../model/image.ts';
import type { Rendition } from '../../model/rendition.ts';

/** An image as `/v1` shows it. */
export function imageRecord(image: ImageWithRenditions) {
  return {
    id: image.id,
    uuid: image.uuid,
    tenant: image.tenant,
    tenant_id: image.tenantId,
    status: image.status,
    url: image.url,
    error: image.error,
    original_filename: image.filename,
    original_size_bytes: image.originalBytes,
    original_width: image.width,
    original_height: image.height,
    content_hash: image.contentHash,
    in_use_count: 0,
    near_duplicates: [],
    renditions_reused_from: null,
    duplicate_of: image.duplicateOf,
    damaged: image.damagedAt !== null,
    metadata: {
      format: image.format,
      color_space: image.colorSpace,
      frames: image.frames,
      has_alpha: image.hasAlpha,
      bit_depth: image.bitDepth,
    },
    created_at: image.createdAt.toISOString(),
    updated_at: image.updatedAt.toISOString(),
    processed_at: image.processedAt?.toISOString() ?? null,
    renditions: image.renditions.map((rendition) => renditionRecord(image.id, rendition)),
  };
}

function renditionRecord(imageId: number, rendition: Rendition) {
  return {
    id: rendition.id,
    preset: rendition.preset,
    url: `/v1/images/${imageId}/renditions/${rendition.preset}?v=${rendition.recipe}`,
    size_bytes: rendition.bytes,
    width: rendition.width,
    height: rendition.height,
    quality: rendition.quality,
    format: rendition.format,
  };
}
