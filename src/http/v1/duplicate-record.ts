import { z } from 'zod';
import { duplicateVerdicts } from '../../model/duplicates.ts';
import { relationTiers } from '../../model/relation.ts';
import type { JudgedPair } from '../../services/duplicates/judge-pairs.ts';
import type { DuplicateGroups, ListedGroup } from '../../services/duplicates/duplicate-groups.ts';
import { groupExample, resolutionExample, verdictExample } from './similarity-examples.ts';
import { pairFields, toPairRecord } from './pair-record.ts';
import { imageSummarySchema, toImageSummary } from './similarity-record.ts';

const pairImageSchema = z.object({ id: z.int(), uuid: z.uuid() });

/** Schema of a verdict. */
export const verdictSchema = z
  .object({
    image: pairImageSchema,
    other: pairImageSchema,
    verdict: z.enum(duplicateVerdicts),
    decided_by: z.string().describe('Who decided, as in the audit log.'),
    decided_at: z.iso.datetime(),
  })
  .meta({ id: 'DuplicateVerdict', examples: [verdictExample] });

const memberSchema = imageSummarySchema.extend({
  original_format: z.string().nullable(),
  original_size_bytes: z.int().nullable(),
  in_use_count: z.int().describe('Number of references.'),
  damaged: z.boolean(),
  match: z
    .object(pairFields)
    .nullable()
    .describe('How the image matches the representative; `null` for the representative itself.'),
});

/** Schema of a group of duplicates. */
export const groupSchema = z
  .object({
    id: z.int(),
    tenant: z.string(),
    tier: z.enum(relationTiers).describe('The weakest tier of its images.'),
    image_count: z
      .int()
      .describe('Number of images in the group. If it is greater than 20, `images` does not contain all.'),
    images: z.array(memberSchema).describe('The representative, followed by the oldest other images.'),
    keeper: z
      .object({ id: z.int(), reason: z.string() })
      .nullable()
      .describe(
        'Which of these images to keep: the one with the most pixels, then the best format, then the oldest. `null` if all are damaged, and for variants.',
      ),
  })
  .meta({ id: 'DuplicateGroup', examples: [groupExample] });

/** Schema of one page of groups. */
export const groupPageSchema = z.object({
  items: z.array(groupSchema),
  limit: z.int(),
  next_cursor: z.string().nullable().describe('The `cursor` of the next page; `null` on the last page.'),
});

/** Schema of the result of resolving a group. */
export const resolutionSchema = z
  .object({
    group: z.int(),
    kept: pairImageSchema.extend({ in_use_count: z.int().describe('Number of references.') }),
    discarded: z.array(
      pairImageSchema.extend({
        references_moved: z.int().describe('Number of its references that the kept image did not have.'),
        outcome: z
          .enum(['deleted', 'already_deleted'])
          .describe('`already_deleted`: an earlier request had discarded it.'),
      }),
    ),
  })
  .meta({ id: 'DuplicateResolution', examples: [resolutionExample] });

/** Converts a verdict to the `/v1` JSON format. */
export function toVerdictRecord({
  image,
  other,
  verdict,
  decidedBy,
  decidedAt,
}: JudgedPair): z.input<typeof verdictSchema> {
  return {
    image: { id: image.id, uuid: image.uuid },
    other: { id: other.id, uuid: other.uuid },
    verdict,
    decided_by: decidedBy,
    decided_at: decidedAt.toISOString(),
  };
}

/** Converts a group to the `/v1` JSON format. */
export function toGroupRecord({
  id,
  tenant,
  tier,
  size,
  members,
  keeper,
}: ListedGroup): z.input<typeof groupSchema> {
  return {
    id,
    tenant,
    tier,
    image_count: size,
    images: members.map(({ image, match }) => ({
      ...toImageSummary(image),
      original_format: image.format,
      original_size_bytes: image.originalBytes,
      in_use_count: image.inUseCount,
      damaged: image.damagedAt !== null,
      match: match && toPairRecord(match),
    })),
    keeper: keeper ?? null,
  };
}

/** Converts the result of resolving a group to the `/v1` JSON format. */
export function toResolutionRecord(
  group: number,
  { kept, discarded }: Awaited<ReturnType<DuplicateGroups['resolve']>>,
): z.input<typeof resolutionSchema> {
  return {
    group,
    kept: { id: kept.id, uuid: kept.uuid, in_use_count: kept.inUseCount },
    discarded: discarded.map(({ id, uuid, movedReferences, wasDiscarded }) => ({
      id,
      uuid,
      references_moved: movedReferences,
      outcome: wasDiscarded ? 'already_deleted' : 'deleted',
    })),
  };
}
