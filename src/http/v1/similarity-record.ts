import { z } from 'zod';
import type { Image } from '../../model/image.ts';
import type { Duplicate, SimilarImage } from '../../model/similarity.ts';
import { duplicateExample, similarExample } from './examples.ts';

const foundImage = z.object({
  id: z.int(),
  uuid: z.uuid(),
  tenant: z.string(),
  status: z.string(),
  original_filename: z.string().nullable(),
  original_width: z.int().nullable(),
  original_height: z.int().nullable(),
  content_hash: z.string().nullable(),
  created_at: z.iso.datetime(),
  url: z.string().describe('Address of its record.'),
  thumbnail_url: z.string(),
});

/** Schema of a similar image. */
export const similarSchema = foundImage
  .extend({ score: z.number().describe('Cosine of the two descriptors: 0 nothing in common, 1 the same.') })
  .meta({ id: 'SimilarImage', examples: [similarExample] });

/** Schema of a duplicate. */
export const duplicateSchema = foundImage
  .extend({
    kind: z.enum(['exact', 'near']).describe('The same bytes, or nearly the same picture.'),
    distance: z.int().describe('Distance of the perceptual hashes, 0 to 64.'),
    difference: z.number().describe('Mean colour difference (CIE ΔE) of the two pictures.'),
    reason: z.string(),
  })
  .meta({ id: 'Duplicate', examples: [duplicateExample] });

/** Schema of how a search was done. */
export const searchFields = {
  searched: z.int().describe('Pictures that were compared.'),
  exact: z.boolean().describe('Whether every picture was compared; an index may leave some out.'),
};

/** A similar image, as `/v1` shows it. */
export function similarRecord({ image, score }: SimilarImage): z.input<typeof similarSchema> {
  return { ...foundRecord(image), score };
}

/** A duplicate, as `/v1` shows it. */
export function duplicateRecord(duplicate: Duplicate): z.input<typeof duplicateSchema> {
  const { image, kind, distance, difference, reason } = duplicate;
  return { ...foundRecord(image), kind, distance, difference, reason };
}

function foundRecord(image: Image): z.input<typeof foundImage> {
  return {
    id: image.id,
    uuid: image.uuid,
    tenant: image.tenant,
    status: image.status,
    original_filename: image.filename,
    original_width: image.width,
    original_height: image.height,
    content_hash: image.contentHash,
    created_at: image.createdAt.toISOString(),
    url: `/v1/images/${image.id}`,
    thumbnail_url: `/v1/images/${image.id}/thumbnail`,
  };
}
