import { z } from 'zod';
import { AppError, errorFamily } from '../../errors.ts';
import { embeddingDimension, embeddingSpace, fingerprintVersion } from '../../model/fingerprint.ts';
import type { Logger } from '../../model/logger.ts';
import { colorSpaces, type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import { fitInside } from '../geometry.ts';
import { checkLimits, maxSide } from '../limits.ts';
import type { EncodedRendition } from '../renditions/derive-renditions.ts';
import { planRenditions } from '../renditions/rendition-plan.ts';
import {
  type ChildMessage,
  type EncodedPicture,
  type FailureMessage,
  maxErrorLength,
  reportableCodes,
  type Task,
  type TaskResult,
} from './messages.ts';

/** Thrown for an invalid message from a child. A child that sends such a message is no longer trusted. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

/** Returns the maximum payload of the response to a task, in bytes. */
export function maxPayloadBytes({ kind, request }: Task): number {
  if (kind !== 'derive') return 0;
  const { presets, limits } = request;
  const pixels = presets.map(({ width, height }) => Math.min(width * height, limits.maxPixels));
  return pixels.reduce((sum, count) => sum + maxJpegBytes(count), 0);
}

/**
 * Returns the maximum size of a rendition. A baseline JPEG encodes a sample in at most 26 bits (a 16-bit code and a
 * 10-bit value) and therefore a pixel in at most 9.75 bytes. The remainder covers headers and byte stuffing.
 */
function maxJpegBytes(pixels: number): number {
  return pixels * 10 + 65_536;
}

const sideSchema = z.int().min(1).max(maxSide);
const bytesSchema = z.int().min(1);

const factsSchema = z.strictObject({
  format: z.enum(pictureFormats),
  width: sideSchema,
  height: sideSchema,
  frames: z.int().min(1),
  colorSpace: z.enum(colorSpaces),
  hasAlpha: z.boolean(),
  bitDepth: z.int().min(1).max(128),
}) satisfies z.ZodType<PictureFacts>;

const fingerprintSchema = z.strictObject({
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

// The vector is normalised, but its numbers are rounded, so its norm may be slightly above 1.
const embeddingSchema = z.strictObject({
  space: z.literal(embeddingSpace),
  vector: z
    .array(z.number().min(-1).max(1))
    .length(embeddingDimension)
    .refine((vector) => vector.reduce((sum, value) => sum + value * value, 0) < 1.01),
});

const renditionSchema = z.strictObject({
  preset: z.string(),
  width: sideSchema,
  height: sideSchema,
  bytes: bytesSchema,
});
const descriptionShape = { facts: factsSchema, fingerprint: fingerprintSchema, embedding: embeddingSchema };
const percentSchema = z.number().min(0).max(100);
// Rounding may raise the similarity of identical pictures slightly above 1.
const similaritySchema = z.number().min(-1.000_001).max(1.000_001);

/** Schemas of the results. Whether a result matches its request is checked separately. */
const resultSchemas = {
  probe: factsSchema,
  derive: z.strictObject({ ...descriptionShape, renditions: z.array(renditionSchema) }),
  describe: z.strictObject(descriptionShape),
  compare: z.strictObject({
    facts: factsSchema,
    comparisons: z.array(
      z.strictObject({
        name: z.string(),
        psnr: z.number().min(0).max(100),
        ssim: similaritySchema,
        hashDistance: z.int().min(0).max(64),
        width: sideSchema,
        height: sideSchema,
      }),
    ),
  }),
  tryPresets: z.strictObject({
    facts: factsSchema,
    results: z.array(z.strictObject({ ...renditionSchema.shape, quality: similaritySchema })),
  }),
  matchRenditions: z.discriminatedUnion('verdict', [
    z.strictObject({ verdict: z.enum(['same', 'unknown']) }),
    z.strictObject({
      verdict: z.literal('different'),
      preset: z.string(),
      channel: z.enum(['lightness', 'colour']),
      left: percentSchema,
      top: percentSchema,
    }),
  ]),
} as const;

const childMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('done'), id: z.int(), result: z.unknown() }),
  z.strictObject({
    type: z.literal('failed'),
    id: z.int(),
    code: z.enum(reportableCodes),
    message: z
      .string()
      .min(1)
      .max(maxErrorLength)
      .regex(/^\P{Cc}*$/u),
    cause: z.string().optional(),
  }),
]);

/** Parses a message from a child. @throws {InvalidResponse} */
export function parseChildMessage(message: unknown): ChildMessage {
  return parse(childMessageSchema, message, 'message');
}

/** Maximum length of a reported cause in the log, in UTF-16 code units. */
const maxLoggedCauseLength = 4000;

/** Logs the cause of a reported failure, and returns the error for the caller. */
export function logAndConvertFailure({ code, message, cause }: FailureMessage, logger: Logger): AppError {
  if (cause !== undefined) {
    // Errors caused by invalid pictures are routine. All other errors are logged as warnings.
    const level = errorFamily(code) === null ? 'warn' : 'info';
    logger[level]({ code, cause: cause.slice(0, maxLoggedCauseLength) }, 'A decoder child reported an error');
  }
  return new AppError(code, message);
}

/**
 * Validates the result of a task against the task's request. The result must contain only the requested presets, each
 * with the size that follows from the facts. All numbers must be within their ranges, and the payload must have exactly
 * the declared number of bytes.
 * @throws {InvalidResponse}
 */
export function validateResult(task: Task, result: unknown, payload: Buffer): TaskResult {
  if (task.kind !== 'derive')
    assertValid(payload.length === 0, 'Only a response with renditions may have a payload.');
  switch (task.kind) {
    case 'probe':
      return checkFacts(parse(resultSchemas.probe, result, 'facts'), task.request.limits);
    case 'derive':
      return readEncodedPicture(task, result, payload);
    case 'describe': {
      const describedPicture = parse(resultSchemas.describe, result, 'description');
      checkFacts(describedPicture.facts, task.request.limits);
      return describedPicture;
    }
    case 'compare': {
      const comparedPicture = parse(resultSchemas.compare, result, 'comparisons');
      checkFacts(comparedPicture.facts, task.request.limits);
      checkNames(comparedPicture.comparisons, task.request.others);
      return comparedPicture;
    }
    case 'tryPresets':
      return readTrials(task, result);
    case 'matchRenditions':
      return readMatch(task, result);
  }
}

function readEncodedPicture({ request }: Task<'derive'>, result: unknown, payload: Buffer): EncodedPicture {
  const encodedPicture = parse(resultSchemas.derive, result, 'renditions');
  checkFacts(encodedPicture.facts, request.limits);
  const plan = planRenditions(encodedPicture.facts, request.presets);
  assertValid(
    plan.length === encodedPicture.renditions.length,
    `The response has ${encodedPicture.renditions.length} renditions instead of ${plan.length}.`,
  );
  let offset = 0;
  const renditions = plan.map(({ preset, size }, index): EncodedRendition => {
    const declaredRendition = encodedPicture.renditions[index];
    const isPlanned =
      declaredRendition?.preset === preset.name &&
      declaredRendition.width === size.width &&
      declaredRendition.height === size.height;
    if (!isPlanned) throw new InvalidResponse(`The rendition ${preset.name} was expected.`);
    assertValid(
      declaredRendition.bytes <= maxJpegBytes(size.width * size.height),
      `A rendition has ${declaredRendition.bytes} bytes, which is too many for its width and height.`,
    );
    const jpeg = payload.subarray(offset, (offset += declaredRendition.bytes));
    assertValid(hasJpegMarkers(jpeg), 'A rendition is not a JPEG.');
    return { preset, ...size, jpeg };
  });
  assertValid(offset === payload.length, `The payload has ${payload.length} bytes instead of ${offset}.`);
  return { ...encodedPicture, renditions };
}

/** Checks the SOI marker at the start and the EOI marker at the end. The data between them is not verified. */
function hasJpegMarkers(jpeg: Buffer): boolean {
  return jpeg.length > 4 && jpeg.readUInt16BE(0) === 0xffd8 && jpeg.readUInt16BE(jpeg.length - 2) === 0xffd9;
}

function readTrials({ request }: Task<'tryPresets'>, result: unknown): TaskResult<'tryPresets'> {
  const triedPresets = parse(resultSchemas.tryPresets, result, 'preset trials');
  checkFacts(triedPresets.facts, request.limits);
  assertValid(
    triedPresets.results.length === request.presets.length,
    `The response has ${triedPresets.results.length} trials instead of ${request.presets.length}.`,
  );
  for (const [index, preset] of request.presets.entries())
    checkTrial(triedPresets.results[index], preset, triedPresets.facts);
  return triedPresets;
}

function readMatch({ request }: Task<'matchRenditions'>, result: unknown): TaskResult<'matchRenditions'> {
  const match = parse(resultSchemas.matchRenditions, result, 'rendition match');
  const isRequested =
    match.verdict !== 'different' || request.pairs.some(({ preset }) => preset === match.preset);
  assertValid(isRequested, 'The response refers to a preset that was not requested.');
  return match;
}

function checkTrial(
  trial: z.output<typeof renditionSchema> | undefined,
  preset: Preset,
  facts: PictureFacts,
): void {
  const { width, height } = fitInside(facts, preset);
  const isExpected = trial?.preset === preset.name && trial.width === width && trial.height === height;
  assertValid(
    isExpected && trial.bytes <= maxJpegBytes(width * height),
    `The trial of ${preset.name} was expected.`,
  );
}

function checkNames(comparisons: readonly { name: string }[], requested: readonly { name: string }[]): void {
  const hasSameLength = comparisons.length === requested.length;
  const isExpected = hasSameLength && comparisons.every(({ name }, index) => name === requested[index]?.name);
  assertValid(isExpected, 'The comparisons do not match the request.');
}

/** Rejects facts that exceed the limits. Such facts are invalid, because a child checks the limits before it decodes. */
function checkFacts(facts: PictureFacts, limits: PictureLimits): PictureFacts {
  assertValid(limits.allowedFormats.includes(facts.format), `The format ${facts.format} is not allowed.`);
  try {
    checkLimits(facts, limits);
  } catch (error) {
    throw new InvalidResponse('The facts exceed the limits.', { cause: error });
  }
  return facts;
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, subject: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidResponse(
    `Invalid ${subject}: ${issue?.path.join('.')} ${issue?.message}`.slice(0, maxErrorLength),
  );
}

function assertValid(isValid: boolean, problem: string): asserts isValid {
  if (!isValid) throw new InvalidResponse(problem);
}
