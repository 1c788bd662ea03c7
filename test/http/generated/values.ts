import * as fc from 'fast-check';
import type { Parameter, Schema } from './operations.ts';

/** Values that exist on the server, by field name. */
export type KnownValues = Readonly<Record<string, readonly unknown[]>>;

/** Generates valid values for a schema. Fields that must refer to something on the server are given known values. */
export function generateValidValue(
  schema: Schema,
  name: string,
  knownValues: KnownValues,
): fc.Arbitrary<unknown> {
  const knownChoices = knownValues[name];
  if (knownChoices && schema.type !== 'array') return fc.constantFrom(...knownChoices);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf)
    return fc.oneof(...schema.anyOf.map((option) => generateValidValue(option, name, knownValues)));
  if (schema.type === 'integer') return generateWholeNumber(schema);
  if (schema.type === 'number') return generateFraction(schema);
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'null') return fc.constant(null);
  if (schema.type === 'array') return generateList(schema, name, knownValues);
  return schema.type === 'object' ? generateRecord(schema, knownValues) : generateText(schema);
}

function generateWholeNumber({ minimum: min = 0, maximum: max = 2 ** 31 }: Schema): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max }));
}

function generateFraction({ minimum: min = 0, maximum: max = 1 }: Schema): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(min, max, 0.1, 7 * 0.1, 1e-7), fc.double({ min, max, noNaN: true }));
}

function generateList(schema: Schema, name: string, knownValues: KnownValues): fc.Arbitrary<unknown[]> {
  return fc.array(generateValidValue(schema.items ?? {}, name, knownValues), {
    minLength: schema.minItems ?? 0,
    maxLength: 4,
  });
}

/** Fields that must always be present, because other fields require them. The schemas do not express this. */
const alwaysPresent = ['confirm_token'];

/** Generates an object for each alternative of its schema. */
function generateRecord(schema: Schema, knownValues: KnownValues): fc.Arbitrary<object> {
  const { properties = {}, required = [], oneOf, minProperties = 0 } = schema;
  const alternatives = oneOf?.map((alternative) => alternative.required ?? []) ?? [[]];
  return fc
    .constantFrom(...alternatives)
    .chain((chosenFields) => {
      const otherFields = new Set(alternatives.flat().filter((name) => !chosenFields.includes(name)));
      const fields = Object.entries(properties).filter(([name]) => !otherFields.has(name));
      const values = fields.map(
        ([name, field]) => [name, generateValidValue(field, name, knownValues)] as const,
      );
      const alwaysPresentFields = alwaysPresent.filter((name) => name in properties);
      return fc.record(Object.fromEntries(values), {
        requiredKeys: [...required, ...chosenFields, ...alwaysPresentFields],
      });
    })
    .filter((fields) => Object.keys(fields).length >= minProperties);
}

const timestamps = fc
  .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
  .chain((date) => fc.constantFrom(date.toISOString(), date.toISOString().replace(/\.\d+Z$/, '+05:30')));

function generateText(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === 'date-time') return timestamps;
  if (schema.format === 'uuid') return fc.uuid();
  const maxLength = Math.min(schema.maxLength ?? 200, 200);
  // Arbitrary text never matches a pattern such as that of a key's id, so filtering it would never end.
  if (schema.pattern !== undefined && !matchesSchema(schema, 'a'))
    return fc.stringMatching(new RegExp(schema.pattern));
  const candidates = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      'a',
      'x'.repeat(maxLength),
      '🪑'.repeat(maxLength),
      '__proto__',
      "'; DROP TABLE x; --",
      '%00',
    ),
  );
  return candidates.filter(
    (candidate) => candidate.length <= (schema.maxLength ?? 1_000) && matchesSchema(schema, candidate),
  );
}

/** Returns whether text matches a string schema. Supports only the keywords that the document uses. */
function matchesSchema(
  { pattern, format, maxLength = Number.POSITIVE_INFINITY, enum: allowedValues }: Schema,
  value: string,
): boolean {
  if (allowedValues) return allowedValues.includes(value);
  if (format === 'uuid') return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value);
  if (format === 'date-time') return /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value);
  return value.length <= maxLength && (pattern === undefined || new RegExp(pattern, 'u').test(value));
}

/** Invalid values, URL-encoded. */
const invalidValues = [
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

/** Generates invalid, URL-encoded values of a parameter. */
export function generateInvalidText({ name, in: part, schema }: Parameter): fc.Arbitrary<string> {
  const disallowedValues = invalidValues.filter((value) => !isAllowed(schema, value, part));
  const outOfRange =
    schema.minimum === undefined ? [] : [schema.minimum - 1, (schema.maximum ?? 0) + 1].map(String);
  // A path without the value would belong to a different operation.
  const emptyValue = part === 'query' ? [''] : [];
  // Unknown ids are also rejected.
  const unknownIds =
    part === 'path' && name.endsWith('id') ? ['999999999', '01a1fb5b-5201-72ab-9fbd-000000000000'] : [];
  return fc.constantFrom(
    ...disallowedValues,
    ...outOfRange,
    ...emptyValue.filter(() => !isAllowed(schema, '', part)),
    ...unknownIds,
  );
}

function isAllowed(schema: Schema, encoded: string, part: Parameter['in']): boolean {
  if (schema.type === 'integer' || schema.type === 'number') return false;
  // Every value is valid free text, but nothing on the server has one of these names.
  if (!schema.pattern && !schema.format && !schema.enum) return false;
  try {
    return matchesSchema(schema, decodeURIComponent(encoded));
  } catch {
    // A query that cannot be decoded is taken literally.
    return part === 'query' && matchesSchema(schema, encoded);
  }
}

/** Returns whether a query parameter can be invalid. Free text is always valid. */
export function canBeInvalid({ schema }: Parameter): boolean {
  const { type, pattern, format, enum: allowedValues } = schema;
  return type !== 'string' || pattern !== undefined || format !== undefined || allowedValues !== undefined;
}
