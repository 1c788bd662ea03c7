import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import * as fc from 'fast-check';
import type { Operation, Schema } from './operations.ts';
import { type KnownValues, generateValidValue } from './values.ts';

/** A request body with its media type and its expected validity. */
export interface Body {
  readonly type: string | undefined;
  readonly bytes: Uint8Array;
  /** `unsure` means that the schema allows the body but the server may reject it. */
  readonly validity: 'valid' | 'invalid' | 'unsure';
}

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as { default: (ajv: Ajv2020) => void }).default(ajv);

/** Generates JSON bodies that both the schema and the server accept. */
export function generateValidJson(schema: Schema, knownValues: KnownValues): fc.Arbitrary<Body> {
  const types = ['application/json', 'application/json; charset=utf-8', 'Application/JSON'];
  return fc
    .tuple(generateValidValue(schema, '', knownValues), fc.constantFrom(...types))
    .map(([value, type]) => ({ type, bytes: encode(value), validity: 'valid' }));
}

/** Generates JSON bodies with one changed value. Some of these bodies are still valid. */
export function generateMutatedJson(schema: Schema, knownValues: KnownValues): fc.Arbitrary<Body> {
  const isValid = ajv.compile(schema);
  return fc
    .tuple(
      generateValidValue(schema, '', knownValues),
      fc.nat(),
      fc.constantFrom(...mutations),
      fc.constantFrom(...replacements),
    )
    .map(([value, selector, mutate, replacement]) =>
      changeWithin(value, selector, (part) => mutate(part, selector, replacement)),
    )
    .map((value) => {
      const bytes = encode(value);
      const parsedValue: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
      return {
        type: 'application/json',
        bytes,
        validity: isValid(parsedValue) || isImport(parsedValue) ? 'unsure' : 'invalid',
      };
    });
}

/** Returns whether a body is an import. Imports are accepted even if some of their lines are rejected. */
function isImport(value: unknown): boolean {
  const { urls, items } = (value ?? {}) as Fields;
  return Array.isArray(urls) || Array.isArray(items);
}

type Fields = Record<string, unknown>;

/** Changes the value or a value nested in it, depending on `selector`. */
function changeWithin(value: unknown, selector: number, change: (part: Fields) => unknown): unknown {
  const fields = value as Fields;
  const key = findKey(fields, selector);
  const innerValue = fields[key];
  if (selector % 3 !== 0 || innerValue === null || typeof innerValue !== 'object') return change(fields);
  const changedValue = changeWithin(innerValue, selector >> 1, change);
  return Array.isArray(value) ? value.with(Number(key), changedValue) : { ...fields, [key]: changedValue };
}
type Mutation = (value: Fields, selector: number, replacement: unknown) => unknown;

const mutations: readonly Mutation[] = [
  (_value, _selector, replacement) => replacement,
  (value, _selector, replacement) => ({ ...value, unknown_field: replacement }),
  (value, selector, replacement) => ({ ...value, [findKey(value, selector)]: replacement }),
  (value, selector, replacement) => ({ ...value, [findKey(value, selector)]: [replacement] }),
  (value, selector, replacement) => ({
    ...value,
    [findKey(value, selector)]: { [findKey(value, selector)]: replacement },
  }),
  (value, selector) => {
    const { [findKey(value, selector)]: _removed, ...remainingFields } = value;
    return remainingFields;
  },
];

function findKey(value: Fields, selector: number): string {
  const keys = Object.keys(value);
  return keys[selector % keys.length] ?? 'missing';
}

/** An array that is nested deeply enough to exhaust the stack of a recursive parser. */
const deeplyNestedArray = JSON.parse(`${'['.repeat(900)}${']'.repeat(900)}`) as unknown;

// None of these is a usable URL, so the server fetches nothing.
const replacements = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  'x',
  '\u0000',
  '\uD800',
  'é'.repeat(9_000),
  [],
  {},
  deeplyNestedArray,
];

const jsonType = 'application/json';
const malformedTexts = [
  '{',
  '{"a":1,}',
  '{"a":NaN}',
  "{'a':1}",
  '\u0000',
  '[['.repeat(5_000),
  '{"__proto__":{"a":1}}',
  '{}{}',
];
const nonObjects = ['null', '[]', '"x"', '1', 'true', '[{}]'];
const otherTypes = [
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'image/jpeg',
  'application/jsonx',
  'x',
];

/** Generates bodies that operations with a JSON body and operations without a body must reject. */
export function generateRejectedBodies({ bodies, needsBody }: Operation): fc.Arbitrary<Body> {
  const texts = malformedTexts.map((text): [string, string] => [jsonType, text]);
  const oversizedBody: [string, string] = [jsonType, JSON.stringify({ a: 'x'.repeat(2 ** 20) })];
  const wrongTypes = otherTypes.map((type): [string, string] => [type, '{}']);
  const wrongValues = jsonType in bodies ? nonObjects.map((text): [string, string] => [jsonType, text]) : [];
  const emptyBody: [string, string][] = needsBody ? [[jsonType, '']] : [];
  return fc
    .constantFrom(...texts, ...wrongTypes, ...wrongValues, ...emptyBody, oversizedBody)
    .map(([type, text]) => ({ type, bytes: Buffer.from(text), validity: 'invalid' }));
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value) ?? '');
}
