import { z } from 'zod';
import { duplicateVerdicts } from '../../model/duplicates.ts';
import { relationTiers } from '../../model/relation.ts';
import type { NearDuplicate } from '../../model/image.ts';

/** Fields that describe how two images are related. */
export const pairFields = {
  tier: z
    .enum(relationTiers)
    .describe(
      '`identical`: equal pixels; `reencoded`: saved again in another quality or size; `edited`: padded, cropped or otherwise edited; `possible`: a person has to decide; `variant`: the same structure in another colour or with another detail.',
    ),
  verdict: z
    .enum(duplicateVerdicts)
    .nullable()
    .describe('What a person decided about the pair; `null` if nobody has.'),
  edit: z
    .string()
    .nullable()
    .describe(
      'Edits that turn the older picture into the newer one, joined by `+`: `mirrored`, `padded`, `trimmed`, `cropped`, `brightness`, `badge`, `filtered`; `null` if there are none.',
    ),
  box: z
    .object({ left: z.number(), top: z.number(), width: z.number(), height: z.number() })
    .nullable()
    .describe(
      'The part of the newer picture that differs, as fractions of its width and height; `null` if no part stands out.',
    ),
  distance: z
    .int()
    .nullable()
    .describe(
      'Hamming distance between the perceptual hashes, 0 to 64; `null` if only a person has named the pair.',
    ),
  difference: z
    .number()
    .nullable()
    .describe(
      'Mean colour difference (CIE ΔE) between the two images; `null` if only a person has named the pair.',
    ),
  reason: z.string().describe('Why the two images form a pair.'),
};

/** How two images are related, in the `/v1` JSON format. */
export function toPairRecord({
  tier,
  verdict,
  edit,
  box,
  distance,
  difference,
  reason,
}: Omit<NearDuplicate, 'id' | 'uuid'>) {
  return { tier, verdict, edit, box, distance, difference, reason };
}
