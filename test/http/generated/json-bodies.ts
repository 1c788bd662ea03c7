import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import * as fc from 'fast-check';
import type { Operation, Schema } from './operations.ts';
import { type KnownValues, validValue } from './values.ts';

/** A body with its type and its expected validity. */
export interface Body {
  readonly type: string | undefined;
  readonly bytes: Uint8Array;
  /** `unsure`: valid by the schema, but the server may refuse it. */
  readonly verdict: 'valid' | 'invalid' | 'unsure';
}

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as { default: (to: Ajv2020) => void }).default(ajv);

/** JSON bodies that the schema and the server accept. */
export function validJson(schema: Schema, known: KnownValues): fc.Arbitrary<Body> {
  const types = ['application/json', 'application/json; charset=utf-8', 'Application/JSON'];
  return fc
    .tuple(validValue(schema, '', known), fc.constantFrom(...types))
    .map(([value, type]) => ({ type, bytes: encode(value), verdict: 'valid' }));
}

/** JSON bodies with one changed value; the schema decides whether they are valid. */
export function mutatedJson(schema: Schema, known: KnownValues): fc.Arbitrary<Body> {
  const allows = ajv.compile(schema);
  return fc
    .tuple(validValue(schema, '', known), fc.nat(), fc.constantFrom(...mutations), fc.constantFrom(...junk))
    .map(([value, place, mutate, strange]) =>
      changeWithin(value, place, (part) => mutate(part, place, strange)),
    )
    .map((value) => {
      const bytes = encode(value);
      const read: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
      return {
        type: 'application/json',
        bytes,
        verdict: allows(read) || isImport(read) ? 'unsure' : 'invalid',
      };
    });
}

/** Import lines are refused separately, whatever they contain. */
function isImport(value: unknown): boolean {
  const { urls, items } = (value ?? {}) as Fields;
  return Array.isArray(urls) || Array.isArray(items);
}

type Fields = Record<string, unknown>;

/** Replaces a value or a nested one. */
function changeWithin(value: unknown, place: number, change: (part: Fields) => unknown): unknown {
  const fields = value as Fields;
  const key = keyAt(fields, place);
  const inner = fields[key];
  if (place % 3 !== 0 || inner === null || typeof inner !== 'object') return change(fields);
  const changed = changeWithin(inner, place >> 1, change);
  return Array.isArray(value) ? value.with(Number(key), changed) : { ...fields, [key]: changed };
}
type Mutation = (value: Fields, place: number, strange: unknown) => unknown;

const mutations: readonly Mutation[] = [
  (_value, _place, strange) => strange,
  (value, _place, strange) => ({ ...value, unknown_field: strange }),
  (value, place, strange) => ({ ...value, [keyAt(value, place)]: strange }),
  (value, place, strange) => ({ ...value, [keyAt(value, place)]: [strange] }),
  (value, place, strange) => ({ ...value, [keyAt(value, place)]: { [keyAt(value, place)]: strange } }),
  (value, place) => {
    const { [keyAt(value, place)]: _left, ...rest } = value;
    return rest;
  },
];

function keyAt(value: Fields, place: number): string {
  const keys = Object.keys(value);
  return keys[place % keys.length] ?? 'nothing';
}

/** Deep enough to exhaust the stack of a recursive parser. */
const deep = JSON.parse(`${'['.repeat(900)}${']'.repeat(900)}`) as unknown;

// None of these is a usable URL, so that nothing is fetched.
const junk = [
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
  deep,
];

const ofJson = 'application/json';
const broken = [
  '{',
  '{"a":1,}',
  '{"a":NaN}',
  "{'a':1}",
  '\u0000',
  '[['.repeat(5_000),
  '{"__proto__":{"a":1}}',
  '{}{}',
];
const noObjects = ['null', '[]', '"x"', '1', 'true', '[{}]'];
const otherTypes = [
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'image/jpeg',
  'application/jsonx',
  'x',
];

/** Bodies that calls with a JSON body or none must refuse. */
export function refusedBodies({ bodies, needsBody }: Operation): fc.Arbitrary<Body> {
  const texts = broken.map((text): [string, string] => [ofJson, text]);
  const tooLarge: [string, string] = [ofJson, JSON.stringify({ a: 'x'.repeat(2 ** 20) })];
  const strange = otherTypes.map((type): [string, string] => [type, '{}']);
  const notObjects = ofJson in bodies ? noObjects.map((text): [string, string] => [ofJson, text]) : [];
  const nothing: [string, string][] = needsBody ? [[ofJson, '']] : [];
  return fc
    .constantFrom(...texts, ...strange, ...notObjects, ...nothing, tooLarge)
    .map(([type, text]) => ({ type, bytes: Buffer.from(text), verdict: 'invalid' }));
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value) ?? '');
}
