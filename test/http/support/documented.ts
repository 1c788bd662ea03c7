import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'vitest';
import type { ApiResponse } from '../../support/process/client.ts';

/** An operation in the OpenAPI document. */
interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly description?: string;
  readonly security?: readonly object[];
  readonly 'x-required-scopes'?: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, unknown> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly examples?: unknown[] }>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

/** The content of `docs/openapi.json`. */
export const document = JSON.parse(
  readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'),
) as Document;

const ajv = new Ajv2020({ strict: false, allErrors: true });
// The types of this CommonJS module do not match its default export.
(addFormats as unknown as { default: (ajv: Ajv2020) => void }).default(ajv);
ajv.addSchema(forbidUndocumentedFields(document) as object, 'api');

/** Returns the schema with undocumented fields forbidden in every object. */
function forbidUndocumentedFields(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(forbidUndocumentedFields);
  if (part === null || typeof part !== 'object') return part;
  const closedPart = Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, forbidUndocumentedFields(value)]),
  );
  const isOpen = 'additionalProperties' in part || !('properties' in part);
  return isOpen ? closedPart : { ...closedPart, additionalProperties: false };
}

/** Expects a value to match the schema at a path in the document. */
export function expectSchema(schemaPath: readonly string[], value: unknown): void {
  const pointer = schemaPath.map((step) =>
    encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')),
  );
  const validate = ajv.compile({ $ref: `api#/${pointer.join('/')}` });
  validate(value);
  expect(validate.errors ?? [], `${schemaPath.join(' ')}: ${JSON.stringify(value)?.slice(0, 800)}`).toEqual(
    [],
  );
}

/** Expects the document to describe the status, type and body of a response. */
export function expectDocumented(method: string, path: string, actual: ApiResponse<unknown>): void {
  const operationName = `${method} ${path}`;
  const operation = document.paths[path]?.[method.toLowerCase()];
  expect(operation, `${operationName} is documented`).toBeDefined();
  const response = operation?.responses[actual.status];
  expect(
    response,
    `${operationName} ${actual.status} is documented: ${actual.bytes.toString('latin1', 0, 300)}`,
  ).toBeDefined();
  if (!response?.content) {
    expect(actual.bytes.length, `${operationName} has no body`).toBe(0);
    return;
  }
  const type = actual.headers.get('content-type')?.split(';')[0] ?? '';
  expect(Object.keys(response.content), `${operationName} type`).toContain(type);
  if (!type.includes('json')) return;
  const schemaPath = [
    'paths',
    path,
    method.toLowerCase(),
    'responses',
    String(actual.status),
    'content',
    type,
  ];
  // The schema of NDJSON describes one line.
  const values = type.endsWith('ndjson') ? parseLines(actual.bytes) : [actual.body];
  for (const value of values) expectSchema([...schemaPath, 'schema'], value);
}

function parseLines(bytes: Buffer): unknown[] {
  const lines = bytes.toString('utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
}
