import { z } from 'zod';
import { AppError, errorFamily } from '../../errors.ts';
import {
  builtInSpace,
  type Embedding,
  type EmbeddingSpace,
  fingerprintVersion,
  hashFrames,
} from '../../model/fingerprint.ts';
import type { Logger } from '../../model/logger.ts';
import { colorSpaces, type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import { type Relation, relationTiers } from '../../model/relation.ts';
import { checkLimits, maxSide } from '../limits.ts';
import { intakeFactsSchema } from './intake-facts-schema.ts';
import { assertValid, InvalidResponse, parse } from './invalid-response.ts';
import {
  type ChildMessage,
  type FailureMessage,
  maxErrorLength,
  reportableCodes,
  type Task,
  type TaskResult,
} from './messages.ts';
import {
  checkTrials,
  maxRenditionsPayload,
  readRenditions,
  renditionSchema,
  sideSchema,
  similaritySchema,
  trialSchema,
} from './rendition-responses.ts';

export { InvalidResponse } from './invalid-response.ts';

/** Returns the maximum payload of the response to a task, in bytes. */
export function maxPayloadBytes({ kind, request }: Task): number {
  if (kind !== 'derive' && kind !== 'render') return 0;
  return maxRenditionsPayload(request.variants, request.limits);
}

/** Most hashes of one kind in a fingerprint. */
const maxFrameHashes = 8;

const factsSchema = z.strictObject({
  format: z.enum(pictureFormats),
  width: sideSchema,
  height: sideSchema,
  frames: z.int().min(1),
  colorSpace: z.enum(colorSpaces),
  hasAlpha: z.boolean(),
  bitDepth: z.int().min(1).max(128),
}) satisfies z.ZodType<PictureFacts>;

const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);
const frameHashSchema = z.strictObject({ frame: z.enum(hashFrames), hash: hashSchema });

const fingerprintSchema = z.strictObject({
  version: z.literal(fingerprintVersion),
  hash: hashSchema,
  quality: z.number().min(0).max(100),
  aspect: z
    .number()
    .min(1 / maxSide)
    .max(maxSide),
  // 32 × 32 × 3 bytes in base64.
  thumbnail: z.string().regex(/^[A-Za-z0-9+/]{4096}$/),
  frameHashes: z.array(frameHashSchema).max(maxFrameHashes),
  probes: z.array(frameHashSchema).max(maxFrameHashes),
});

const fractionSchema = z.number().min(0).max(1);
const relationSchema = z.strictObject({
  tier: z.enum(relationTiers),
  edit: z
    .string()
    .regex(/^[a-z]+(?:\+[a-z]+)*$/)
    .max(100)
    .nullable(),
  box: z
    .strictObject({
      left: fractionSchema,
      top: fractionSchema,
      width: fractionSchema,
      height: fractionSchema,
    })
    .nullable(),
  difference: z.number().min(0).max(500),
  reason: z.string().min(1).max(200),
}) satisfies z.ZodType<Relation>;

// The vector is normalised, but its numbers are rounded, so its norm may be slightly above 1.
const embeddingSchema = z.strictObject({
  space: z.string(),
  vector: z
    .array(z.number().min(-1).max(1))
    .refine((vector) => vector.reduce((sum, value) => sum + value * value, 0) < 1.01),
});

const descriptionShape = { facts: factsSchema, fingerprint: fingerprintSchema, embedding: embeddingSchema };
const percentSchema = z.number().min(0).max(100);

/** Schemas of the results. Whether a result matches its request is checked separately. */
const resultSchemas = {
  probe: factsSchema,
  derive: z.strictObject({
    ...descriptionShape,
    renditions: z.array(renditionSchema),
    keptMetadata: z.string().regex(/^(?:[0-9a-f]{64})?$/),
    intakeFacts: intakeFactsSchema,
  }),
  render: z.strictObject({ facts: factsSchema, renditions: z.array(renditionSchema) }),
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
  relate: z.strictObject({ relations: z.array(relationSchema.nullable()) }),
  tryPresets: z.strictObject({
    facts: factsSchema,
    results: z.array(trialSchema),
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
 * Validates the result of a task against the task's request. The result must contain only the requested variants, each
 * with the size that follows from the facts. All numbers must be within their ranges, and the payload must have exactly
 * the declared number of bytes.
 * @param space the space in which the child computes embeddings
 * @throws {InvalidResponse}
 */
export function validateResult(
  task: Task,
  result: unknown,
  payload: Buffer,
  space: EmbeddingSpace = builtInSpace,
): TaskResult {
  if (task.kind !== 'derive' && task.kind !== 'render')
    assertValid(payload.length === 0, 'Only a response with renditions may have a payload.');
  switch (task.kind) {
    case 'probe':
      return checkFacts(parse(resultSchemas.probe, result, 'facts'), task.request.limits);
    case 'derive':
    case 'render':
      return readRenderedPicture(task, result, payload, space);
    case 'describe': {
      const describedPicture = parse(resultSchemas.describe, result, 'description');
      checkFacts(describedPicture.facts, task.request.limits);
      checkSpace(describedPicture.embedding, space);
      return describedPicture;
    }
    case 'compare': {
      const comparedPicture = parse(resultSchemas.compare, result, 'comparisons');
      checkFacts(comparedPicture.facts, task.request.limits);
      checkNames(comparedPicture.comparisons, task.request.others);
      return comparedPicture;
    }
    case 'relate': {
      const relatedPictures = parse(resultSchemas.relate, result, 'relations');
      const hasSameLength = relatedPictures.relations.length === task.request.others.length;
      assertValid(hasSameLength, 'The relations do not match the request.');
      return relatedPictures;
    }
    case 'tryPresets':
      return readTrials(task, result);
    case 'matchRenditions':
      return readMatch(task, result);
  }
}

function readRenderedPicture(
  { kind, request }: Task<'derive' | 'render'>,
  result: unknown,
  payload: Buffer,
  space: EmbeddingSpace,
): TaskResult<'derive' | 'render'> {
  const picture = parse(resultSchemas[kind], result, 'renditions');
  checkFacts(picture.facts, request.limits);
  if ('embedding' in picture) checkSpace(picture.embedding, space);
  const renditions = readRenditions(picture.facts, request.variants, picture.renditions, payload);
  return { ...picture, renditions };
}

function checkSpace({ space, vector }: Embedding, { name, dimension }: EmbeddingSpace): void {
  const isExpected = space === name && vector.length === dimension;
  assertValid(isExpected, `The embedding is not one of the ${dimension} dimensions of ${name}.`);
}

function readTrials({ request }: Task<'tryPresets'>, result: unknown): TaskResult<'tryPresets'> {
  const triedPresets = parse(resultSchemas.tryPresets, result, 'preset trials');
  checkFacts(triedPresets.facts, request.limits);
  checkTrials(request, triedPresets.facts, triedPresets.results);
  return triedPresets;
}

function readMatch({ request }: Task<'matchRenditions'>, result: unknown): TaskResult<'matchRenditions'> {
  const match = parse(resultSchemas.matchRenditions, result, 'rendition match');
  const isRequested =
    match.verdict !== 'different' || request.pairs.some(({ preset }) => preset === match.preset);
  assertValid(isRequested, 'The response refers to a preset that was not requested.');
  return match;
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
