import { z } from 'zod';
import type { Image } from '../../model/image.ts';
import type { Duplicate, ScoreExplanation, SimilarImage } from '../../model/similarity.ts';
import { duplicateExample, similarExample } from './similarity-examples.ts';
import { pairFields, toPairRecord } from './pair-record.ts';

/** Schema of an image in an answer that is about several images. */
export const imageSummarySchema = z.object({
  id: z.int(),
  uuid: z.uuid(),
  tenant: z.string(),
  status: z.string(),
  original_filename: z.string().nullable(),
  original_width: z.int().nullable(),
  original_height: z.int().nullable(),
  content_hash: z.string().nullable(),
  created_at: z.iso.datetime(),
  url: z.string().describe('URL path of the image.'),
  thumbnail_url: z.string(),
});

const partField = z.number().describe('From 0 (nothing in common) to 1 (identical).');

/** Schema of the explanation of a score. */
const explanationSchema = z
  .object({
    parts: z
      .object({ colour: partField, shape: partField })
      .describe('How similar this image is to the query in each respect.'),
    via: z
      .int()
      .nullable()
      .describe(
        'Id of the similar image that led to this one. The score is then the product of the score of that image and the score of the two images; otherwise `null`.',
      ),
  })
  .nullable()
  .describe('Only with `explain=true`. `null` if the embedding is that of a model, which has no parts.');

/** Schema of a similar image. */
export const similarSchema = imageSummarySchema
  .extend({
    score: z
      .number()
      .describe('How similar the images are; 1 means identical. By default from 0 to 1; see `metric`.'),
    explanation: explanationSchema.optional(),
  })
  .meta({ id: 'SimilarImage', examples: [similarExample] });

/** Schema of a duplicate. */
export const duplicateSchema = imageSummarySchema
  .extend({
    kind: z
      .enum(['exact', 'near'])
      .describe(
        '`exact`: the bytes are identical; `near`: the search or a person has found the pair, and `tier` says what it is.',
      ),
    ...pairFields,
  })
  .meta({ id: 'Duplicate', examples: [duplicateExample] });

/** Fields that state how many images were searched. */
export const searchFields = {
  searched: z.int().describe('Number of images that were searched; if not `exact`, at the last count.'),
  exact: z
    .boolean()
    .describe(
      '`true` if every image was compared. With the approximate index of a large tenant, some images may be missed.',
    ),
};

/** Converts a similar image to the `/v1` JSON format. @param explain whether to explain the score */
export function toSimilarRecord(
  { image, score, explanation }: SimilarImage,
  explain: boolean,
): z.input<typeof similarSchema> {
  const record = { ...toImageSummary(image), score };
  return explain ? { ...record, explanation: explanation && toExplanationRecord(explanation) } : record;
}

function toExplanationRecord({ parts, via }: ScoreExplanation): z.input<typeof explanationSchema> {
  const round = (value: number) => Math.round(value * 1e4) / 1e4;
  return { parts: { colour: round(parts.colour), shape: round(parts.shape) }, via };
}

/** Converts a duplicate to the `/v1` JSON format. */
export function toDuplicateRecord(duplicate: Duplicate): z.input<typeof duplicateSchema> {
  const { image, kind, ...pair } = duplicate;
  return { ...toImageSummary(image), kind, ...toPairRecord(pair) };
}

/** Converts an image to the short `/v1` JSON format. */
export function toImageSummary(image: Image): z.input<typeof imageSummarySchema> {
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
    url: `/v1/images/${image.uuid}`,
    thumbnail_url: `/v1/images/${image.uuid}/thumbnail`,
  };
}
