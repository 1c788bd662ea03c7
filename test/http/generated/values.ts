import * as fc from 'fast-check';
import type { Parameter, Schema } from './operations.ts';

/** Values that depend on the server, by field name. */
export type KnownValues = Readonly<Record<string, readonly unknown[]>>;

/** Generates valid values; existing ones where the server must know them. */
export function validValue(schema: Schema, name: string, known: KnownValues): fc.Arbitrary<unknown> {
  const choice = known[name];
  if (choice && schema.type !== 'array') return fc.constantFrom(...choice);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => validValue(one, name, known)));
  if (schema.type === 'integer') return wholeNumber(schema);
  if (schema.type === 'number') return fraction(schema);
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'null') return fc.constant(null);
  if (schema.type === 'array') return list(schema, name, known);
  return schema.type === 'object' ? record(schema, known) : text(schema);
}

function wholeNumber({ minimum: min = 0, maximum: max = 2 ** 31 }: Schema): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max }));
}

function fraction({ minimum: min = 0, maximum: max = 1 }: Schema): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(min, max, 0.1, 7 * 0.1, 1e-7), fc.double({ min, max, noNaN: true }));
}

function list(schema: Schema, name: string, known: KnownValues): fc.Arbitrary<unknown[]> {
  return fc.array(validValue(schema.items ?? {}, name, known), {
    minLength: schema.minItems ?? 0,
    maxLength: 4,
  });
}

/** Fields that another field requires, which schemas cannot express. */
const neverLeftOut = ['confirm_token'];

/** Generates an object for each alternative of its schema. */
function record(schema: Schema, known: KnownValues): fc.Arbitrary<object> {
  const { properties = {}, required = [], oneOf, minProperties = 0 } = schema;
  const ways = oneOf?.map((way) => way.required ?? []) ?? [[]];
  return fc
    .constantFrom(...ways)
    .chain((way) => {
      const others = new Set(ways.flat().filter((name) => !way.includes(name)));
      const fields = Object.entries(properties).filter(([name]) => !others.has(name));
      const values = fields.map(([name, field]) => [name, validValue(field, name, known)] as const);
      const always = neverLeftOut.filter((name) => name in properties);
      return fc.record(Object.fromEntries(values), { requiredKeys: [...required, ...way, ...always] });
    })
    .filter((made) => Object.keys(made).length >= minProperties);
}

const times = fc
  .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
  .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().replace(/\.\d+Z$/, '+05:30')));

function text(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === 'date-time') return times;
  if (schema.format === 'uuid') return fc.uuid();
  const longest = Math.min(schema.maxLength ?? 200, 200);
  const candidates = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      'a',
      'x'.repeat(longest),
      '🪑'.repeat(longest),
      '__proto__',
      "'; DROP TABLE x; --",
      '%00',
    ),
  );
  return candidates.filter(
    (candidate) => candidate.length <= (schema.maxLength ?? 1_000) && fits(schema, candidate),
  );
}

/** Whether text matches a string schema, as far as the document uses them. */
function fits(
  { pattern, format, maxLength = Number.POSITIVE_INFINITY, enum: words }: Schema,
  value: string,
): boolean {
  if (words) return words.includes(value);
  if (format === 'uuid') return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value);
  if (format === 'date-time') return /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value);
  return value.length <= maxLength && (pattern === undefined || new RegExp(pattern, 'u').test(value));
}

/** Already encoded as sent. */
const garbage = [
  '%00',
  '%ff',
  '%C3%28',
  '%F0%9F%98%80',
  '..%2f',
  '..%2f..%2fetc%2fpasswd',
  '__proto__',
  'constructor',
  '%20',
  '-1',
  '1.5',
  '9'.repeat(19),
  '9'.repeat(250),
  'a'.repeat(250),
  '%E2%80%A8',
  "'%20OR%201=1--",
  '$%7B7*7%7D',
  'null',
  'NaN',
  '[object%20Object]',
  '1,2',
  '0x10',
  '%EF%BC%91',
  '550e8400-e29b-41d4-a716-44665544000',
  '%D8%00',
];

/** Generates invalid values of a parameter, already encoded as sent. */
export function invalidText({ name, in: part, schema }: Parameter): fc.Arbitrary<string> {
  const odd = garbage.filter((one) => !isAllowed(schema, one));
  const near =
    schema.minimum === undefined ? [] : [schema.minimum - 1, (schema.maximum ?? 0) + 1].map(String);
  // Without a value, the URL is that of another call.
  const missing = part === 'query' ? [''] : [];
  // Missing ids are refused, too.
  const strangers =
    part === 'path' && name.endsWith('id') ? ['999999999', '01a1fb5b-5201-72ab-9fbd-000000000000'] : [];
  return fc.constantFrom(...odd, ...near, ...missing.filter(() => !isAllowed(schema, '')), ...strangers);
}

function isAllowed(schema: Schema, spelled: string): boolean {
  if (schema.type === 'integer' || schema.type === 'number') return false;
  // Free text: none of these names exists.
  if (!schema.pattern && !schema.format && !schema.enum) return false;
  try {
    return fits(schema, decodeURIComponent(spelled));
  } catch {
    return false;
  }
}

/** Whether a query parameter has invalid values; free text has none. */
export function canBeInvalid({ schema }: Parameter): boolean {
  const { type, pattern, format, enum: words } = schema;
  return type !== 'string' || pattern !== undefined || format !== undefined || words !== undefined;
}
