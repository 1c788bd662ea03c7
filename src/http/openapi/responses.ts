import { z } from 'zod';
import { type ErrorCode, errorTable } from '../../errors.ts';
import { mediaTypes } from '../../model/picture.ts';
import { renditionFormats } from '../../model/preset.ts';

/** Schema of error responses. It is the same for `/v1` and the dialects. */
const problemSchema = z
  .looseObject({
    type: z.string().describe('`urn:vitrine:error:` followed by the code.'),
    title: z.string().describe('Short description, the same for every error with this code.'),
    status: z.int().describe('HTTP status.'),
    detail: z.string().describe('Human-readable message: what was wrong, the limit and the value.'),
    code: z.string().describe('Machine-readable error code.'),
    family: z
      .string()
      .optional()
      .describe('`picture_damaged` if the image cannot be decoded; otherwise absent.'),
  })
  .meta({
    id: 'Problem',
    description: 'An error (RFC 9457). Some codes have additional fields.',
    examples: [
      {
        type: 'urn:vitrine:error:image_not_found',
        title: 'There is no such image',
        status: 404,
        detail: 'There is no image 16.',
        code: 'image_not_found',
      },
    ],
  });

/** A response in the OpenAPI document. */
interface DocumentedResponse {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: z.ZodType }>>;
}

/** Documents a JSON response. */
export function json(schema: z.ZodType, description: string): DocumentedResponse {
  return { description, content: { 'application/json': { schema } } };
}

/** Documents the content of a response with one JSON value per line. `schema` describes a line. */
export function ndjson(schema: z.ZodType): Record<string, { readonly schema: z.ZodType }> {
  return { 'application/x-ndjson': { schema } };
}

/** Documents a response without a body. */
export function empty(description: string): z.ZodType {
  return z.undefined().describe(description);
}

const binarySchema = z.string().meta({ format: 'binary' });
const notModified = empty('The client already has this version.');

const redirect = empty('Redirects to the store (`S3_DELIVERY=redirect`).');

/** Successful responses of routes that serve a rendition. */
export const renditionResponses = {
  200: binary('The rendition.', 'image/jpeg'),
  302: redirect,
  304: notModified,
};

/** Successful responses of the URLs that serve renditions in all formats. */
export const deliveryResponses = {
  200: binary('The rendition.', ...renditionFormats.map((format) => mediaTypes[format])),
  304: notModified,
};

/** Successful responses of routes that serve an original. */
export const originalResponses = {
  200: binary('The whole file.', ...Object.values(mediaTypes)),
  206: binary('The requested range.', ...Object.values(mediaTypes)),
  302: redirect,
  304: notModified,
};

/** Documents a binary response of the given media types. */
function binary(description: string, ...types: string[]): DocumentedResponse {
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema: binarySchema }])) };
}

/** Documents the content of a text response with the given media type. */
export function text(type: string): Record<string, { readonly schema: z.ZodType }> {
  return { [type]: { schema: z.string() } };
}

/**
 * Documents an endpoint's responses. Successes are keyed by status, and errors are given by code. Responses are not
 * validated at run time, because a mismatch would turn a usable response into a 500. Tests validate them instead.
 */
export function responses(
  successes: Readonly<Record<number, DocumentedResponse | z.ZodType>>,
  ...errors: ErrorCode[]
): Record<string, unknown> {
  return addErrors(successes, errors);
}

/** Adds errors to the responses of an endpoint. Errors with the same status share one response. */
export function addErrors(
  documented: Readonly<Record<string, unknown>>,
  codes: readonly ErrorCode[],
): Record<string, unknown> {
  return codes.reduce(addError, documented);
}

function addError(documented: Readonly<Record<string, unknown>>, code: ErrorCode): Record<string, unknown> {
  const { status, title } = errorTable[code];
  const sentence = `\`${code}\`: ${title}.`;
  const existing = documented[status] as DocumentedResponse | undefined;
  if (existing?.description.includes(sentence)) return documented;
  const response: DocumentedResponse = {
    description: existing ? `${existing.description} ${sentence}` : sentence,
    content: { ...existing?.content, 'application/problem+json': { schema: problemSchema } },
  };
  return { ...documented, [status]: response };
}
