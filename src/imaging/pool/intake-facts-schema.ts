import { z } from 'zod';
import { backgroundKinds, type IntakeFacts } from '../../model/intake-facts.ts';

const shareSchema = z.number().min(0).max(1);
const percentSchema = z.number().min(0).max(100);

/** Schema of the facts that a child measures. */
export const intakeFactsSchema = z.strictObject({
  sharpness: percentSchema.nullable(),
  exposure: z.strictObject({
    lightness: percentSchema,
    clippedShadows: shareSchema,
    clippedHighlights: shareSchema,
  }),
  background: z.strictObject({
    kind: z.enum(backgroundKinds),
    color: z.string().regex(/^#[0-9a-f]{6}$/),
    whiteShare: shareSchema,
    plainShare: shareSchema,
  }),
  fill: shareSchema.nullable(),
  product: z
    .strictObject({ left: shareSchema, top: shareSchema, width: shareSchema, height: shareSchema })
    .nullable(),
  borders: z.strictObject({ left: shareSchema, top: shareSchema, right: shareSchema, bottom: shareSchema }),
  upscaled: z.boolean(),
  compression: z.strictObject({
    jpegQuality: z.int().min(1).max(100).nullable(),
    blockiness: shareSchema.nullable(),
    heavy: z.boolean(),
  }),
  grey: z.boolean(),
}) satisfies z.ZodType<IntakeFacts>;
