import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { sentenceOf } from '../validation-sentences.ts';

/** More mistakes than this are counted, not named. */
const maxListed = 5;

/** Reads `data` by a schema. `where` is the part of the request that it is. @throws {AppError} `invalid_request` */
export function readBy<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
  where: string,
): z.output<Schema> {
  const result = z.safeParse(schema, data, { error: sentenceOf, reportInput: true });
  if (result.success) return result.data;
  throw refusal(where, result.error.issues);
}

/** Lets Fastify check addresses by Zod's schemas, in our words. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const where = httpPart === 'querystring' ? 'query' : (httpPart ?? 'request');
  return (data) => {
    const result = z.safeParse(schema, data, { error: sentenceOf, reportInput: true });
    return result.success ? { value: result.data } : { error: refusal(where, result.error.issues) };
  };
};

function refusal(where: string, issues: readonly z.core.$ZodIssue[]): AppError {
  const mistakes = new Map<string, string>();
  for (const { path, message } of issues) {
    // A number that is far too large breaks two rules; one sentence is enough.
    const place = [where, ...path.map(String)].join('/');
    if (!mistakes.has(place)) mistakes.set(place, message);
  }
  const named = Array.from(mistakes, ([place, message]) => `${place}: ${message}`).slice(0, maxListed);
  const left = mistakes.size - named.length;
  const more = left > 0 ? ` And so on, ${left} more times.` : '';
  return new AppError('invalid_request', `${named.join('; ')}.${more}`);
}
