import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';

/** What a call takes in its body: a schema for each media type. Documented only; routes read bodies themselves. */
export type TakenBodies = Readonly<Record<string, z.ZodType>>;

declare module 'fastify' {
  interface FastifySchema {
    readonly takes?: TakenBodies;
    /** Parts of the address that are documented here and not checked by the framework. */
    readonly documented?: { readonly params?: z.ZodType; readonly querystring?: z.ZodType };
  }
}

/** A form with a picture in the field `file`, and further fields. */
export function pictureForm(fields: z.ZodRawShape = {}): TakenBodies {
  const file = z.string().meta({ format: 'binary', description: 'The picture.' });
  return { 'multipart/form-data': z.object({ file, ...fields }) };
}

/** A body of JSON. */
export function jsonBody(schema: z.ZodType): TakenBodies {
  return { 'application/json': schema };
}

/** How a picture in a form may be refused. */
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
  'unavailable',
  'storage_failed',
  'storage_full',
] as const satisfies readonly ErrorCode[];
