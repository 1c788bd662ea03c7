import { z } from 'zod';
import { embeddingDimension, embeddingSpace, fingerprintVersion } from '../../model/fingerprint.ts';
import { colorSpaces, type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import { fitInside } from '../geometry.ts';
import { checkLimits, maxSide } from '../limits.ts';
import type { EncodedRendition } from '../renditions/derive-renditions.ts';
import { planRenditions } from '../renditions/rendition-plan.ts';
import {
  type ChildMessage,
  type EncodedPicture,
  maxSentence,
  type Order,
  type Outcome,
  reportableCodes,
} from './messages.ts';

/** The child sent an invalid response: it can no longer be trusted. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** Maximum payload of a response to `order`. */
export function maxPayloadBytes({ kind, request }: Order): number {
  if (kind !== 'derive') return 0;
  const { presets, limits } = request;
  const pixels = presets.map(({ width, height }) => Math.min(width * height, limits.maxPixels));
  return pixels.reduce((sum, count) => sum + maxJpegBytes(count), 0);
}

/**
 * A baseline JPEG codes a sample in 26 bits at most (a code of 16 and 10 of its value): 9.75 bytes for three of them.
 * The remainder covers headers and the stuffing of 0xFF bytes.
 */
function maxJpegBytes(pixels: number): number {
  return pixels * 10 + 65_536;
}

const side = z.int().min(1).max(maxSide);
const bytes = z.int().min(1);

const facts = z.strictObject({
  format: z.enum(pictureFormats),
  width: side,
  height: side,
  frames: z.int().min(1),
  colorSpace: z.enum(colorSpaces),
  hasAlpha: z.boolean(),
  bitDepth: z.int().min(1).max(128),
}) satisfies z.ZodType<PictureFacts>;

const fingerprint = z.strictObject({
  version: z.literal(fingerprintVersion),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  quality: z.number().min(0).max(100),
  aspect: z
    .number()
    .min(1 / maxSide)
    .max(maxSide),
  // 32 × 32 × 3 bytes in base64.
  thumbnail: z.string().regex(/^[A-Za-z0-9+/]{4096}$/),
});

// The numbers are rounded, so the length of the vector may slightly exceed 1.
const embedding = z.strictObject({
  space: z.literal(embeddingSpace),
  vector: z
    .array(z.number().min(-1).max(1))
    .length(embeddingDimension)
    .refine((vector) => vector.reduce((sum, value) => sum + value * value, 0) < 1.01),
});

const rendition = z.strictObject({ preset: z.string(), width: side, height: side, bytes });
const described = { facts, fingerprint, embedding };
const percent = z.number().min(0).max(100);
// Rounding may put the similarity of equal pictures slightly above 1.
const similarity = z.number().min(-1.000_001).max(1.000_001);

/** Schemas of the results; whether one matches its request is checked afterwards. */
const results = {
  probe: facts,
  derive: z.strictObject({ ...described, renditions: z.array(rendition) }),
  describe: z.strictObject(described),
  compare: z.strictObject({
    facts,
    comparisons: z.array(
      z.strictObject({
        name: z.string(),
        psnr: z.number().min(0).max(100),
        ssim: similarity,
        hashDistance: z.int().min(0).max(64),
        width: side,
        height: side,
      }),
    ),
  }),
  tryPresets: z.strictObject({
    facts,
    results: z.array(z.strictObject({ ...rendition.shape, quality: similarity })),
  }),
  matchRenditions: z.discriminatedUnion('verdict', [
    z.strictObject({ verdict: z.enum(['same', 'unknown']) }),
    z.strictObject({
      verdict: z.literal('different'),
      preset: z.string(),
      channel: z.enum(['lightness', 'colour']),
      left: percent,
      top: percent,
    }),
  ]),
} as const;

const childMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('done'), id: z.int(), result: z.unknown() }),
  z.strictObject({
    type: z.literal('failed'),
    id: z.int(),
    code: z.enum(reportableCodes),
    message: z
      .string()
      .min(1)
      .max(maxSentence)
      .regex(/^\P{Cc}*$/u),
    cause: z.string().optional(),
  }),
]);

/** Parses a message from a child. @throws {WrongAnswer} */
export function readChildMessage(message: unknown): ChildMessage {
  return parse(childMessage, message, 'a message');
}

/**
 * The result of `order`, validated against its request: only requested presets, each with the size that follows from
 * the facts, numbers within their ranges, and exactly the declared number of bytes.
 * @throws {WrongAnswer}
 */
export function readResult(order: Order, result: unknown, payload: Buffer): Outcome {
  if (order.kind !== 'derive') require(payload.length === 0, 'bytes without a rendition');
  switch (order.kind) {
    case 'probe':
      return checkFacts(parse(results.probe, result, 'facts'), order.request.limits);
    case 'derive':
      return readDerived(order, result, payload);
    case 'describe': {
      const answer = parse(results.describe, result, 'a description');
      checkFacts(answer.facts, order.request.limits);
      return answer;
    }
    case 'compare': {
      const answer = parse(results.compare, result, 'comparisons');
      checkFacts(answer.facts, order.request.limits);
      checkNames(answer.comparisons, order.request.others);
      return answer;
    }
    case 'tryPresets':
      return readTrials(order, result);
    case 'matchRenditions':
      return readMatch(order, result);
  }
}

function readDerived({ request }: Order<'derive'>, result: unknown, payload: Buffer): EncodedPicture {
  const answer = parse(results.derive, result, 'renditions');
  checkFacts(answer.facts, request.limits);
  const plan = planRenditions(answer.facts, request.presets);
  require(plan.length === answer.renditions.length, `${answer.renditions.length} renditions`);
  let at = 0;
  const renditions = plan.map(({ preset, size }, index): EncodedRendition => {
    const made = answer.renditions[index];
    const isPlanned =
      made?.preset === preset.name && made.width === size.width && made.height === size.height;
    if (!isPlanned) throw new WrongAnswer(`another rendition than ${preset.name}`);
    require(made.bytes <= maxJpegBytes(size.width * size.height), `a rendition of ${made.bytes} bytes`);
    const jpeg = payload.subarray(at, (at += made.bytes));
    require(isWholeJpeg(jpeg), 'a rendition that is not a JPEG');
    return { preset, ...size, jpeg };
  });
  require(at === payload.length, `${payload.length} bytes for ${at} bytes of renditions`);
  return { ...answer, renditions };
}

/** Checks that it begins with the marker SOI and ends with EOI; the data between cannot be verified. */
function isWholeJpeg(jpeg: Buffer): boolean {
  return jpeg.length > 4 && jpeg.readUInt16BE(0) === 0xffd8 && jpeg.readUInt16BE(jpeg.length - 2) === 0xffd9;
}

function readTrials({ request }: Order<'tryPresets'>, result: unknown): Outcome<'tryPresets'> {
  const answer = parse(results.tryPresets, result, 'trials of presets');
  checkFacts(answer.facts, request.limits);
  require(answer.results.length === request.presets.length, `${answer.results.length} trials`);
  for (const [index, preset] of request.presets.entries())
    checkTrial(answer.results[index], preset, answer.facts);
  return answer;
}

function readMatch({ request }: Order<'matchRenditions'>, result: unknown): Outcome<'matchRenditions'> {
  const answer = parse(results.matchRenditions, result, 'a match of renditions');
  const isRequested =
    answer.verdict !== 'different' || request.pairs.some(({ preset }) => preset === answer.preset);
  require(isRequested, 'a match of another preset');
  return answer;
}

function checkTrial(
  trial: z.output<typeof rendition> | undefined,
  preset: Preset,
  facts: PictureFacts,
): void {
  const { width, height } = fitInside(facts, preset);
  const isExpected = trial?.preset === preset.name && trial.width === width && trial.height === height;
  require(isExpected && trial.bytes <= maxJpegBytes(width * height), `another trial than ${preset.name}`);
}

function checkNames(answers: readonly { name: string }[], requested: readonly { name: string }[]): void {
  const isEqual = answers.length === requested.length;
  require(isEqual && answers.every(({ name }, at) => name === requested[at]?.name), 'other comparisons');
}

/** A child checks the limits before it decodes, so facts that exceed them are invalid. */
function checkFacts(facts: PictureFacts, limits: PictureLimits): PictureFacts {
  require(limits.allowedFormats.includes(facts.format), `the format ${facts.format}`);
  try {
    checkLimits(facts, limits);
  } catch (error) {
    throw new WrongAnswer('facts beyond the limits', { cause: error });
  }
  return facts;
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new WrongAnswer(`${what}: ${issue?.path.join('.')} ${issue?.message}`.slice(0, maxSentence));
}

function require(isRight: boolean, what: string): asserts isRight {
  if (!isRight) throw new WrongAnswer(what);
}
