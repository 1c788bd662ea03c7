import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { type ImageRef, parseIdOrUuid, idOrUuidPattern } from '../../model/image.ts';
import { type SimilarityMetric, similarityMetrics, type SimilarityOptions } from '../../model/similarity.ts';
import { defaultTenant, isTenantName, tenantNamePattern } from '../../model/tenant.ts';
import { describeReferenceError, newReferencePattern, referencePattern } from '../../services/references.ts';
import type { HttpConfig } from '../route-plugin.ts';
import { quoteValue } from './validation.ts';

/** Maximum value of parameters that specify a number of days. */
export const maxDays = 36_500;

/** Tenant name in a filter. */
export const tenantField = z
  .string()
  .refine(isTenantName, 'must be a tenant name: 1 to 64 letters, digits, ".", "_" or "-"')
  .meta({
    pattern: tenantNamePattern.source,
    description: 'Name of a tenant: 1 to 64 letters, digits, `.`, `_` or `-`.',
  });

/** Description of a tenant field in a body. */
export const tenantDefault = 'Name of the tenant; defaults to the tenant of the API key, then to `default`.';

/** Tenant name in a form. Swagger UI fills in the example; without an example, it would invent a name. */
export const tenantFormField = tenantField
  .meta({ ...tenantField.meta(), examples: [defaultTenant] })
  .optional();

/** Id or UUID of an image in a path or query. */
export const imageRefField = z
  .string()
  .transform((text, context) => {
    const ref = parseIdOrUuid(text);
    if (ref) return ref;
    context.addIssue({ code: 'custom', message: describeInvalidRef(text) });
    return z.NEVER;
  })
  .meta({ pattern: idOrUuidPattern, description: 'Id or UUID of an image.' });

/** Id or UUID of an image in a JSON body, where an id may be a number. */
export const bodyImageRefField = z.union([
  z
    .int()
    .min(0)
    .transform((id) => ({ id })),
  imageRefField,
]);

/** Path parameters of routes for a single image. */
export const imageParams = z.object({ id: imageRefField });

/** Parses an image id or UUID for routes whose parameters have no schema. @throws {AppError} `invalid_request` */
export function parseImageRef(text: string): ImageRef {
  const ref = parseIdOrUuid(text);
  if (!ref) throw new AppError('invalid_request', `params/id: ${describeInvalidRef(text)}.`);
  return ref;
}

function describeInvalidRef(text: string): string {
  return `"${text.slice(0, 60)}" is neither an image id nor a UUID`;
}

/** Timestamp with a time zone. */
export const timeField = z.iso.datetime({ offset: true, error: ({ input }) => describeInvalidTime(input) });

function describeInvalidTime(input: unknown): string {
  const received = `(it is ${quoteValue(input)})`;
  const example = '2026-01-31T12:00:00Z';
  if (typeof input !== 'string') return `must be a timestamp such as ${example} ${received}`;
  // In a query string, "+" means a space.
  if (/T[\d:.]+ \d\d:?\d\d$/.test(input))
    return `has a space before its UTC offset ${received}; encode "+" as %2B`;
  if (z.iso.datetime({ local: true }).safeParse(input).success)
    return `has no time zone ${received}; use the format ${example}`;
  return `must be a timestamp with a time zone, such as ${example} ${received}`;
}

/** Text without control characters, which cause problems in databases and logs. */
export function textField(maximum: number) {
  return z
    .string()
    .max(maximum)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters');
}

const referenceDescription =
  'Identifies what uses the image, for example `product-42` for a product. Has 1 to 200 printable characters and is normalized to NFC.';

/** Name of an existing reference. */
export const referenceField = referenceNameField(referencePattern);

/** Name of a new reference. */
export const newReferenceField = referenceNameField(newReferencePattern);

function referenceNameField(pattern: RegExp) {
  return z
    .string()
    .normalize('NFC')
    .regex(pattern, { error: ({ input }) => describeReferenceError(String(input)) })
    .describe(referenceDescription);
}

/** Maximum `limit` of a similarity search. */
const maxSimilarResults = 100;

/** Query parameters of a similarity search. */
export const similarityFields = {
  limit: wholeNumberField(
    1,
    maxSimilarResults,
    'Maximum number of results; default `MAX_SIMILAR_RESULTS` (10 unless configured).',
  ).optional(),
  threshold: fractionField(
    'Minimum score; default `SIMILARITY_THRESHOLD` (0.7 unless configured).',
  ).optional(),
};

/** Metric of a similarity search. */
export const metricField = z
  .enum(similarityMetrics)
  .optional()
  .describe(
    'Compares whole vectors. `cosine`: cosine similarity, 0 to 1; `ip`: inner product; `l2`: 1 ÷ (1 + Euclidean distance). The order is the same. By default, the parts of the built-in embedding are compared; the embeddings of a model are compared by `cosine`.',
  );

/** Returns the options of a similarity search, with configured defaults for missing parameters. */
export function toSimilarityOptions(
  query: {
    readonly limit?: number | undefined;
    readonly threshold?: number | undefined;
    readonly metric?: SimilarityMetric | undefined;
  },
  { maxResults, threshold }: HttpConfig['similarity'],
): SimilarityOptions {
  return {
    limit: query.limit ?? maxResults,
    threshold: query.threshold ?? threshold,
    metric: query.metric,
  };
}

/** Integer in a path or query. */
export function wholeNumberField(minimum: number, maximum: number, description: string) {
  return numberField('a whole number', /^-?\d{1,15}$/, minimum, maximum).meta({
    type: 'integer',
    minimum,
    maximum,
    description,
  });
}

/** Number from 0 to 1 in a query. */
export function fractionField(description: string) {
  return decimalField(1, description);
}

/** `true` or `false` in a query. */
export function flagField(description: string) {
  return z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .meta({ description });
}

/** Number from 0 to `maximum` in a query. */
export function decimalField(maximum: number, description: string) {
  // Clients may send all digits of a float. For example, most languages print 7 * 0.1 as 0.7000000000000001.
  const decimalPattern = /^-?(\d{1,15}(\.\d{0,40})?|\.\d{1,40})(e-?\d{1,3})?$/i;
  return numberField('a number', decimalPattern, 0, maximum).meta({
    type: 'number',
    minimum: 0,
    maximum,
    description,
  });
}

/** Parses a number. Does not use `z.coerce`, which accepts an empty string, `0x10` and an array with one element. */
function numberField(kind: string, pattern: RegExp, minimum: number, maximum: number) {
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (pattern.test(text) && value >= minimum && value <= maximum) return value;
    const bounds = `from ${minimum.toLocaleString('en-US')} to ${maximum.toLocaleString('en-US')}`;
    context.addIssue({ code: 'custom', message: `must be ${kind} ${bounds} (it is ${quoteValue(text)})` });
    return z.NEVER;
  });
}
