import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';

/** Schemas of a request body, keyed by media type, for the OpenAPI document. Routes parse their bodies themselves. */
export type RequestBodies = Readonly<Record<string, z.ZodType>>;

declare module 'fastify' {
  interface FastifySchema {
    readonly bodies?: RequestBodies;
    /** Parameters that appear in the OpenAPI document, but that Fastify does not validate. */
    readonly documentedOnly?: { readonly params?: z.ZodType; readonly querystring?: z.ZodType };
  }
}

/** Documents a form body with an image in the `file` field and the given additional fields. */
export function pictureForm(fields: z.ZodRawShape = {}): RequestBodies {
  const file = z.string().meta({ format: 'binary', description: 'The image file.' });
  return { 'multipart/form-data': z.object({ file, ...fields }) };
}

/** Documents a JSON body. */
export function jsonBody(schema: z.ZodType): RequestBodies {
  return { 'application/json': schema };
}

/** Codes of the errors that endpoints can return when they receive an image in a form. */
export const fileErrors = [
  'missing_file',
  'empty_file',
  'body_cut_short',
  'not_a_picture',
  'format_not_allowed',
  'picture_too_large',
  'picture_cut',
  'picture_corrupt',
  'picture_unsupported',
  'picture_unreadable',
  'picture_damaged',
  'decoder_crashed',
  'request_timeout',
  'image_deleted',
  'body_too_large',
  'unsupported_body',
  'overloaded',
  'unavailable',
  'storage_failed',
  'storage_full',
] as const satisfies readonly ErrorCode[];
