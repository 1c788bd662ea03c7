import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { redactSecrets } from '../../model/redact-url.ts';

/** Maximum number of errors that a message lists. Further errors are only counted. */
const maxListedErrors = 5;

/**
 * Parses `data` with a schema. Error messages start with `location`, the part of the request that contains the data.
 * @throws {AppError} `invalid_request`
 */
export function parseWith<Schema extends z.ZodType>(
  schema: Schema,
  data: unknown,
  location: string,
): z.output<Schema> {
  const result = z.safeParse(schema, data, { error: describeIssue, reportInput: true });
  if (result.success) return result.data;
  throw toValidationError(location, result.error.issues);
}

/** Makes Fastify validate paths, queries and headers with Zod. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const location = httpPart === 'querystring' ? 'query' : (httpPart ?? 'request');
  return (data) => {
    const result = z.safeParse(schema, data, { error: describeIssue, reportInput: true });
    return result.success
      ? { value: result.data }
      : { error: toValidationError(location, result.error.issues) };
  };
};

function toValidationError(location: string, issues: readonly z.core.$ZodIssue[]): AppError {
  const errors = new Map<string, string>();
  for (const { path, message } of issues) {
    const field = [location, ...path.map(String)].join('/');
    // A number that is far too large violates two rules; the first message is enough.
    if (!errors.has(field)) errors.set(field, message);
  }
  const listedErrors = Array.from(errors, ([field, message]) => `${field}: ${message}`).slice(
    0,
    maxListedErrors,
  );
  const unlistedCount = errors.size - listedErrors.length;
  const suffix =
    unlistedCount > 0
      ? ` There ${unlistedCount === 1 ? 'is 1 more error' : `are ${unlistedCount} more errors`}.`
      : '';
  return new AppError('invalid_request', `${listedErrors.join('; ')}.${suffix}`);
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

/** Describes in plain words what is wrong with a value, including the limit if there is one. */
function describeIssue(issue: Issue): string {
  if (issue.code === 'invalid_type') return describeWrongType(issue.expected, issue.input);
  if (issue.code === 'unrecognized_keys') return describeUnknownKeys(issue);
  if (issue.code === 'too_small' && issue.input === '') return 'must not be empty';
  if (issue.code === 'too_big') return `must ${describeBound('at most', Number(issue.maximum), issue.input)}`;
  if (issue.code === 'too_small')
    return `must ${describeBound('at least', Number(issue.minimum), issue.input)}`;
  const value = quoteValue(issue.input);
  if (issue.code !== 'invalid_value') return `is not valid (it is ${value})`;
  return `must be one of ${issue.values.map((allowed) => JSON.stringify(allowed)).join(', ')} (it is ${value})`;
}

/** Quotes a value for an error message. Truncates long values and redacts secrets in URLs. */
export function quoteValue(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  // The value may be as large as the request, so it is truncated before it is searched for secrets.
  const text = redactSecrets(json.slice(0, 2_000));
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

function describeWrongType(expected: string, input: unknown): string {
  if (input === undefined) return 'is missing';
  // A query parameter that occurs twice arrives as an array.
  if (expected === 'string' && Array.isArray(input)) return 'must not be repeated';
  return `must be ${typeNames[expected] ?? expected} (it is ${quoteValue(input)})`;
}

function describeBound(bound: string, limit: number, input: unknown): string {
  const number = limit.toLocaleString('en-US');
  const [characters, entries] = limit === 1 ? ['character', 'entry'] : ['characters', 'entries'];
  if (typeof input === 'string') return `have ${bound} ${number} ${characters} (it has ${input.length})`;
  if (Array.isArray(input)) return `have ${bound} ${number} ${entries} (it has ${input.length})`;
  return `be ${bound} ${number} (it is ${quoteValue(input)})`;
}

function describeUnknownKeys({ keys, inst }: Extract<Issue, { code: 'unrecognized_keys' }>): string {
  const unknownKeys = keys
    .slice(0, 5)
    .map((key) => quoteValue(key))
    .join(', ');
  const allowedKeys = inst instanceof z.ZodObject ? Object.keys(inst.shape).join(', ') : '';
  return `must not contain ${unknownKeys}; ${allowedKeys === '' ? 'no keys are allowed' : `allowed: ${allowedKeys}`}`;
}
