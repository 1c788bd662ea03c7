import { z } from 'zod';
import type { Image } from '../../../model/image.ts';
import { jobStates } from '../../../model/job.ts';
import { mediaTypes } from '../../../model/picture.ts';
import type { SimilarImage } from '../../../model/similarity.ts';

/** Schema of the upload response. */
export const uploadSchema = z.object({
  id: z.uuid(),
  filename: z.string(),
  message: z.string(),
  processing_status: z.enum(jobStates),
});

/** Schema of an image. */
export const imageSchema = z.object({
  id: z.uuid(),
  filename: z.string(),
  original_filename: z.string(),
  content_type: z.string(),
  file_size: z.int().nullable(),
  file_path: z.string(),
  upload_timestamp: z.iso.datetime(),
  processed_timestamp: z.iso.datetime().nullable(),
  processing_status: z.enum(jobStates),
  metadata: z.object({
    width: z.int().nullable(),
    height: z.int().nullable(),
    format: z.string().nullable(),
    color_space: z.string().nullable(),
    frames: z.int().nullable(),
    has_alpha: z.boolean().nullable(),
    bit_depth: z.int().nullable(),
    content_hash: z.string().nullable(),
    error: z.string().nullable(),
  }),
});

/** Schema of a similar image. */
export const similarSchema = z.object({
  id: z.uuid(),
  filename: z.string(),
  content_type: z.string(),
  similarity_score: z.number(),
  upload_timestamp: z.iso.datetime(),
});

/** Converts an uploaded image to the JSON of the upload response. */
export function toUploadRecord(image: Image): z.input<typeof uploadSchema> {
  return {
    id: image.uuid,
    filename: getDisplayFilename(image),
    message:
      image.status === 'completed'
        ? 'The image was uploaded and processed.'
        : 'The image was uploaded; it is being processed.',
    processing_status: image.status,
  };
}

/** Converts an image to the JSON format of the older similarity service. */
export function toImageRecord(image: Image): z.input<typeof imageSchema> {
  return {
    id: image.uuid,
    filename: getDisplayFilename(image),
    original_filename: getDisplayFilename(image),
    content_type: toContentType(image),
    file_size: image.originalBytes,
    // The older service returned a path on its own disk, which clients could not use. This URL path serves the file.
    file_path: `/v1/images/${image.uuid}/original`,
    upload_timestamp: image.createdAt.toISOString(),
    processed_timestamp: image.processedAt?.toISOString() ?? null,
    processing_status: image.status,
    metadata: {
      width: image.width,
      height: image.height,
      format: image.format,
      color_space: image.colorSpace,
      frames: image.frames,
      has_alpha: image.hasAlpha,
      bit_depth: image.bitDepth,
      content_hash: image.contentHash,
      error: image.error,
    },
  };
}

/** Converts a similar image to JSON. */
export function toSimilarRecord({ image, score }: SimilarImage): z.input<typeof similarSchema> {
  return {
    id: image.uuid,
    filename: getDisplayFilename(image),
    content_type: toContentType(image),
    similarity_score: score,
    upload_timestamp: image.createdAt.toISOString(),
  };
}

/** Returns the file name, or the UUID if an imported image has no file name. */
function getDisplayFilename({ filename, uuid }: Image): string {
  return filename ?? uuid;
}

function toContentType({ format }: Image): string {
  return format ? mediaTypes[format] : 'application/octet-stream';
}
