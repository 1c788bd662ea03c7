import type { TenantUsage } from '../../../db/usage.ts';
import type { ImageWithRenditions } from '../../../model/image.ts';
import type { Ingested } from '../../../services/ingest-upload.ts';

/** Answer to an upload: `uploaded` with the job, or `exists` without one. */
export function uploadRecord({ outcome, image, jobId }: Ingested) {
  const known = outcome === 'known';
  return {
    asset_id: image.id,
    status: known ? 'exists' : 'uploaded',
    message: known
      ? 'This picture is known already; its asset is unchanged.'
      : 'The picture was taken in; its renditions are being made.',
    content_hash: image.contentHash,
    ...(known ? {} : { job_id: jobId }),
  };
}

/** An image as the older catalog service described it. Renditions that are not made yet are missing. */
export function assetRecord(image: ImageWithRenditions) {
  return {
    asset_id: image.id,
    filename: image.filename,
    content_hash: image.contentHash,
    width: image.width,
    height: image.height,
    bytes: image.originalBytes,
    color_space: image.colorSpace,
    created_at: image.createdAt.toISOString(),
    renditions: image.renditions.map((rendition) => ({
      preset: rendition.preset,
      file_path: rendition.storageKey,
      width: rendition.width,
      height: rendition.height,
      bytes: rendition.bytes,
      quality: rendition.quality,
    })),
  };
}

/** Usage of one tenant in the list of all. */
export function tenantRecord(usage: TenantUsage) {
  return {
    tenant_id: usage.tenantId,
    tenant_name: usage.tenant,
    asset_count: usage.images,
    rendition_count: usage.renditions,
    total_bytes: usage.originalBytes + usage.renditionBytes,
  };
}

/** Usage of one tenant by itself. */
export function tenantUsageRecord(usage: TenantUsage) {
  return { ...tenantRecord(usage), asset_bytes: usage.originalBytes, rendition_bytes: usage.renditionBytes };
}
