import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { redactSecrets } from '../../model/redact-url.ts';

/** Number of faults that an error lists; the others are only counted. */
const maxListed = 5;

/**
 * Parses `data` with a schema. `where` is the part of the request that contains it, for messages.
 * @throws {AppError} `invalid_request`
 */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
  where: string,
): z.output<Schema> {
  const result = z.safeParse(schema, data, { error: describeIssue, reportInput: true });
  if (result.success) return result.data;
  throw refuse(where, result.error.issues);
}

/** Validates paths, queries and headers with Zod. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const where = httpPart === 'querystring' ? 'query' : (httpPart ?? 'request');
  return (data) => {
    const result = z.safeParse(schema, data, { error: describeIssue, reportInput: true });
    return result.success ? { value: result.data } : { error: refuse(where, result.error.issues) };
  };
};

function refuse(where: string, issues: readonly z.core.$ZodIssue[]): AppError {
  const faults = new Map<string, string>();
  for (const { path, message } of issues) {
    // A number that is far too large breaks two rules; the first sentence is enough.
    const place = [where, ...path.map(String)].join('/');
    if (!faults.has(place)) faults.set(place, message);
  }
  const listed = Array.from(faults, ([place, message]) => `${place}: ${message}`).slice(0, maxListed);
  const unlisted = faults.size - listed.length;
  const more = unlisted > 0 ? ` There are ${unlisted} more errors.` : '';
  return new AppError('invalid_request', `${listed.join('; ')}.${more}`);
}

type Issue = z.core.$ZodRawIssue;

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

/** Describes what is wrong with a value, with the limit and the value, for shop staff rather than programmers. */
function describeIssue(issue: Issue): string {
  if (issue.code === 'invalid_type') return wrongType(issue.expected, issue.input);
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue);
  if (issue.code === 'too_small' && issue.input === '') return 'must not be empty';
  if (issue.code === 'too_big') return `must ${measure('at most', Number(issue.maximum), issue.input)}`;
  if (issue.code === 'too_small') return `must ${measure('at least', Number(issue.minimum), issue.input)}`;
  const value = quoteValue(issue.input);
  if (issue.code !== 'invalid_value') return `is not valid (it is ${value})`;
  return `must be one of ${issue.values.map((one) => JSON.stringify(one)).join(', ')} (it is ${value})`;
}

/** Quotes a value in an error message: shortened, with secrets in URLs redacted. */
export function quoteValue(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  // Cut before the redaction: the value may be as large as the request.
  const text = redactSecrets(json.slice(0, 2_000));
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

function wrongType(expected: string, input: unknown): string {
  if (input === undefined) return 'is missing';
  // A query parameter given twice arrives as an array.
  if (expected === 'string' && Array.isArray(input)) return 'must be given only once';
  return `must be ${typeNames[expected] ?? expected} (it is ${quoteValue(input)})`;
}

function measure(bound: string, limit: number, input: unknown): string {
  const number = limit.toLocaleString('en-US');
  const entries = limit === 1 ? 'entry' : 'entries';
  if (typeof input === 'string') return `have ${bound} ${number} characters (it has ${input.length})`;
  if (Array.isArray(input)) return `have ${bound} ${number} ${entries} (it has ${input.length})`;
  return `be ${bound} ${number} (it is ${quoteValue(input)})`;
}

function unknownKeys({ keys, inst }: Extract<Issue, { code: 'unrecognized_keys' }>): string {
  const unknown = keys
    .slice(0, 5)
    .map((key) => quoteValue(key))
    .join(', ');
  const known = inst instanceof z.ZodObject ? Object.keys(inst.shape).join(', ') : '';
  return `must not contain ${unknown}; ${known === '' ? 'no keys are allowed' : `allowed: ${known}`}`;
}
