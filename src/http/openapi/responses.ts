import { z } from 'zod';
import { type ErrorCode, errorTable } from '../../errors.ts';
import { mediaTypes } from '../../model/picture.ts';

/** What an error looks like on every surface. */
const problemSchema = z
  .looseObject({
    type: z.string().describe('`urn:vitrine:error:` and the code.'),
    title: z.string().describe('The same for every error of a code.'),
    status: z.int().describe('The HTTP status again.'),
    detail: z.string().describe('For people: what was wrong, the limit and the value.'),
    code: z.string().describe('Name for programs.'),
    family: z
      .string()
      .optional()
      .describe('`picture_damaged` for every code of a picture that cannot be decoded.'),
  })
  .meta({
    id: 'Problem',
    description: 'An error, after RFC 9457. Some codes have further members.',
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

/** One answer of a call, as the documentation describes it. */
interface Answer {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: z.ZodType }>>;
}

/** An answer in JSON. */
export function json(schema: z.ZodType, description: string): Answer {
  return { description, content: { 'application/json': { schema } } };
}

/** An answer without a body. */
export function empty(description: string): z.ZodType {
  return z.undefined().describe(description);
}

const bytes = z.string().meta({ format: 'binary' });
const unchanged = empty('The client has this version already.');

const elsewhere = empty('The store gives it, at the address in `Location` (`S3_DELIVERY`).');

/** How a rendition is answered. */
export const renditionAnswers = {
  200: binary('The rendition.', 'image/jpeg'),
  302: elsewhere,
  304: unchanged,
};

/** How an original is answered. */
export const originalAnswers = {
  200: binary('The whole file, byte for byte.', ...Object.values(mediaTypes)),
  206: binary('A part of the file.', ...Object.values(mediaTypes)),
  302: elsewhere,
  304: unchanged,
};

/** An answer of bytes, such as a picture. */
function binary(description: string, ...types: string[]): Answer {
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema: bytes }])) };
}

/** An answer of text. */
export function text(type: string): Record<string, { readonly schema: z.ZodType }> {
  return { [type]: { schema: z.string() } };
}

/**
 * The answers of a call: those of success by status, and the errors by code. They are documented only: an answer that
 * differs from its schema is found by tests. At run time it would be an error 500 that helps nobody.
 */
export function answers(
  successes: Readonly<Record<number, Answer | z.ZodType>>,
  ...errors: ErrorCode[]
): Record<string, unknown> {
  return { ...successes, ...problems(errors) };
}

function problems(codes: readonly ErrorCode[]): Record<number, Answer> {
  const byStatus = Map.groupBy(codes, (code) => errorTable[code].status as number);
  return Object.fromEntries(
    Array.from(byStatus, ([status, group]) => [
      status,
      {
        description: group.map((code) => `\`${code}\`: ${errorTable[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  );
}
