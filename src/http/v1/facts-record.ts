import { z } from 'zod';
import { backgroundKinds, type IntakeFacts, offCentre, productSpan } from '../../model/intake-facts.ts';
import { describeViolation, intakeRuleNames, type Violation } from '../../model/intake-rules.ts';

const share = () => z.number().min(0).max(1);

/** Schema of the facts of an image. */
export const factsSchema = z
  .object({
    sharpness: z
      .number()
      .min(0)
      .max(100)
      .nullable()
      .describe('How steep edges are: 100 is as crisp as pixels allow, below 50 is visibly soft.'),
    exposure: z.object({
      lightness: z.number().min(0).max(100).describe('Mean CIE L* of the product.'),
      clipped_shadows: share().describe('Fraction of the product that is black without detail.'),
      clipped_highlights: share().describe('Fraction of the product that is white without detail.'),
    }),
    background: z.object({
      kind: z.enum(backgroundKinds),
      color: z.string().describe('Median colour of the border.'),
      white_share: share().describe('Fraction of the border within ΔE 2 of white.'),
      plain_share: share().describe('Fraction of the border within ΔE 4 of its median colour.'),
    }),
    fill: share().nullable().describe('Fraction of the image that the product covers.'),
    product: z
      .object({
        left: share(),
        top: share(),
        width: share(),
        height: share(),
        span: share().describe('The larger of `width` and `height`.'),
        off_centre: share().describe("Distance of the product's centre from the centre of the image."),
      })
      .nullable()
      .describe(
        'Box around the product, in fractions of the image; `null` if the background is mixed or empty.',
      ),
    borders: z
      .object({ left: share(), top: share(), right: share(), bottom: share() })
      .describe('Widths of a frame of uniform colour, in fractions of the image.'),
    upscaled: z.boolean().describe('Whether the image looks like an enlarged copy of a smaller one.'),
    compression: z.object({
      jpeg_quality: z.int().nullable().describe('Quality on the scale of libjpeg; `null` for other formats.'),
      blockiness: share().nullable().describe('Fraction of small steps on a grid of 8 × 8 pixels.'),
      heavy: z.boolean(),
    }),
    grey: z.boolean().describe('Whether the image has only shades of grey.'),
  })
  .meta({ id: 'ImageFacts' });

/** Schema of a warning. */
export const warningSchema = z
  .object({
    code: z.enum(intakeRuleNames).describe('The intake rule.'),
    limit: z.number().nullable().describe('The limit of the rule; `null` if it has none.'),
    value: z.number().describe('The measured value; 1 if the rule only asks whether something is so.'),
    message: z.string(),
  })
  .meta({ id: 'ImageWarning' });

/** Converts facts to the `/v1` JSON format. */
export function toFactsRecord(facts: IntakeFacts): z.input<typeof factsSchema> {
  const { exposure, background, product, compression } = facts;
  return {
    sharpness: facts.sharpness,
    exposure: {
      lightness: exposure.lightness,
      clipped_shadows: exposure.clippedShadows,
      clipped_highlights: exposure.clippedHighlights,
    },
    background: {
      kind: background.kind,
      color: background.color,
      white_share: background.whiteShare,
      plain_share: background.plainShare,
    },
    fill: facts.fill,
    product: product && { ...product, span: productSpan(product), off_centre: round(offCentre(product)) },
    borders: facts.borders,
    upscaled: facts.upscaled,
    compression: {
      jpeg_quality: compression.jpegQuality,
      blockiness: compression.blockiness,
      heavy: compression.heavy,
    },
    grey: facts.grey,
  };
}

/** Converts a warning to the `/v1` JSON format. */
export function toWarningRecord(violation: Violation): z.input<typeof warningSchema> {
  const { rule, limit, value } = violation;
  return { code: rule, limit, value, message: describeViolation(violation) };
}

function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
