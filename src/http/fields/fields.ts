import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { type ImageRef, parseIdOrUuid, idOrUuidPattern } from '../../model/image.ts';
import type { SimilarityOptions } from '../../model/similarity.ts';
import { defaultTenant, isTenantName, tenantNamePattern } from '../../model/tenant.ts';
import { describeReferenceError, newReferencePattern, referencePattern } from '../../services/references.ts';
import type { HttpConfig } from '../surface.ts';
import { quoteValue } from './validation.ts';

/** Maximum of every parameter in days. */
export const maxDays = 36_500;

/** Name of a tenant, as a filter. */
export const tenantField = z
  .string()
  .refine(isTenantName, 'must be a tenant name: 1 to 64 letters, digits, ".", "_" or "-"')
  .meta({
    pattern: tenantNamePattern.source,
    description: 'Name of a tenant: 1 to 64 letters, digits, `.`, `_` or `-`.',
  });

/** Name of a tenant in a form. Swagger UI fills forms with the example, which would otherwise be a random name. */
export const tenantFormField = tenantField
  .meta({ ...tenantField.meta(), examples: [defaultTenant] })
  .optional();

/** Image id or UUID in a path or query. */
export const imageRefField = z
  .string()
  .transform((text, context) => {
    const image = parseIdOrUuid(text);
    if (image) return image;
    context.addIssue({ code: 'custom', message: describeRefFault(text) });
    return z.NEVER;
  })
  .meta({ pattern: idOrUuidPattern, description: 'Id or UUID of an image.' });

/** Path parameters of the addresses of an image. */
export const imageParams = z.object({ id: imageRefField });

/** Parses an image id or UUID on a route without a schema. @throws {AppError} `invalid_request` */
export function parseImageRef(text: string): ImageRef {
  const image = parseIdOrUuid(text);
  if (!image) throw new AppError('invalid_request', `params/id: ${describeRefFault(text)}.`);
  return image;
}

function describeRefFault(text: string): string {
  return `"${text.slice(0, 60)}" is neither an image id nor a UUID`;
}

/** A timestamp with a time zone. */
export const timeField = z.iso.datetime({ offset: true, error: ({ input }) => describeTimeFault(input) });

function describeTimeFault(input: unknown): string {
  const actual = `(it is ${quoteValue(input)})`;
  const example = '2026-01-31T12:00:00Z';
  if (typeof input !== 'string') return `must be a timestamp such as ${example} ${actual}`;
  // In a query string, "+" means a space.
  if (/T[\d:.]+ \d\d:?\d\d$/.test(input))
    return `has a space before its UTC offset ${actual}: encode "+" as %2B`;
  if (z.iso.datetime({ local: true }).safeParse(input).success)
    return `has no time zone ${actual}: use the form ${example}`;
  return `must be a timestamp with a time zone, such as ${example} ${actual}`;
}

/** Text without control characters, which databases and logs do not handle well. */
export function textField(maximum: number) {
  return z
    .string()
    .max(maximum)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters');
}

const aboutReference =
  'Name of a user of the image: 1 to 200 printable characters, such as `product-42`. Normalized to NFC.';

/** Name of a reference, for lookups. */
export const referenceField = nameField(referencePattern);

/** Name of a reference to add. */
export const newReferenceField = nameField(newReferencePattern);

function nameField(form: RegExp) {
  return z
    .string()
    .normalize('NFC')
    .regex(form, { error: ({ input }) => describeReferenceError(String(input)) })
    .describe(aboutReference);
}

/** Results per similarity search that a request may ask for. */
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

/** Returns the options of a similarity search, with the configured defaults. */
export function similarityOptions(
  query: { readonly limit?: number | undefined; readonly threshold?: number | undefined },
  { maxResults, threshold }: HttpConfig['similarity'],
): SimilarityOptions {
  return { limit: query.limit ?? maxResults, threshold: query.threshold ?? threshold };
}

/** An integer in a path or query. */
export function wholeNumberField(minimum: number, maximum: number, description: string) {
  return numberField('a whole number', /^-?\d{1,15}$/, minimum, maximum).meta({
    type: 'integer',
    minimum,
    maximum,
    description,
  });
}

/** A number from 0 to 1 in a query. */
export function fractionField(description: string) {
  // Programs print every digit of a float: 7 * 0.1 is 0.7000000000000001 in most languages.
  const decimalForm = /^-?(\d{1,15}(\.\d{0,40})?|\.\d{1,40})(e-?\d{1,3})?$/i;
  return numberField('a number', decimalForm, 0, 1).meta({
    type: 'number',
    minimum: 0,
    maximum: 1,
    description,
  });
}

/** Not `z.coerce`: `Number` accepts an empty string, `0x10` and an array with one element. */
function numberField(kind: string, form: RegExp, minimum: number, maximum: number) {
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (form.test(text) && value >= minimum && value <= maximum) return value;
    const bounds = `from ${minimum.toLocaleString('en-US')} to ${maximum.toLocaleString('en-US')}`;
    context.addIssue({ code: 'custom', message: `must be ${kind} ${bounds} (it is ${quoteValue(text)})` });
    return z.NEVER;
  });
}
