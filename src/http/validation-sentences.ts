import { z } from 'zod';
import { redactSecrets } from '../model/redact-url.ts';

type Issue = z.core.$ZodRawIssue;

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

/** Says what is wrong with a value, what the limit is and what the value is. Read by people of a shop. */
export function sentenceOf(issue: Issue): string {
  if (issue.code === 'invalid_type') return wrongType(issue.expected, issue.input);
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue);
  if (issue.code === 'too_small' && issue.input === '') return 'must not be empty';
  if (issue.code === 'too_big') return `must ${measure('at most', Number(issue.maximum), issue.input)}`;
  if (issue.code === 'too_small') return `must ${measure('at least', Number(issue.minimum), issue.input)}`;
  const value = showValue(issue.input);
  if (issue.code !== 'invalid_value') return `is not valid (it is ${value})`;
  return `must be one of ${issue.values.map((one) => JSON.stringify(one)).join(', ')} (it is ${value})`;
}

/** A value as repeated in an error: shortened, and with secrets in URLs redacted. */
export function showValue(value: unknown): string {
  const whole = JSON.stringify(value) ?? String(value);
  // Shortened first, since the value may be as large as the request.
  const text = redactSecrets(whole.slice(0, 2_000));
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

function wrongType(expected: string, input: unknown): string {
  if (input === undefined) return 'is missing';
  // An address that names a key twice arrives as a list.
  if (expected === 'string' && Array.isArray(input)) return 'must be given once, as one text';
  return `must be ${typeWords[expected] ?? expected} (it is ${showValue(input)})`;
}

function measure(bound: string, limit: number, input: unknown): string {
  const number = limit.toLocaleString('en-US');
  const entries = limit === 1 ? 'entry' : 'entries';
  if (typeof input === 'string') return `have ${bound} ${number} characters (it has ${input.length})`;
  if (Array.isArray(input)) return `have ${bound} ${number} ${entries} (it has ${input.length})`;
  return `be ${bound} ${number} (it is ${showValue(input)})`;
}

function unknownKeys({ keys, inst }: Extract<Issue, { code: 'unrecognized_keys' }>): string {
  const unknown = keys
    .slice(0, 5)
    .map((key) => showValue(key))
    .join(', ');
  const known = inst instanceof z.ZodObject ? Object.keys(inst.shape).join(', ') : '';
  return `has no ${unknown}${known === '' ? '; it takes nothing' : `; it takes ${known}`}`;
}
