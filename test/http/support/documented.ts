import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'vitest';
import type { ApiResponse } from '../../support/process/client.ts';

/** A call in the document. */
interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, unknown> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, { readonly examples?: unknown[] }>> };
}

/** `docs/openapi.json`. */
export const document = JSON.parse(
  readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8'),
) as Document;

const ajv = new Ajv2020({ strict: false, allErrors: true });
// A CommonJS module whose default export hides one level deeper.
(addFormats as unknown as { default: (to: Ajv2020) => void }).default(ajv);
ajv.addSchema(closeObjects(document) as object, 'api');

/** Forbids undocumented fields in objects. */
function closeObjects(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(closeObjects);
  if (part === null || typeof part !== 'object') return part;
  const closed = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, closeObjects(value)]));
  const isOpen = 'additionalProperties' in part || !('properties' in part);
  return isOpen ? closed : { ...closed, additionalProperties: false };
}

/** Expects a value to match the schema at a path of the document. */
export function expectSchema(place: readonly string[], value: unknown): void {
  const pointer = place.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')));
  const validate = ajv.compile({ $ref: `api#/${pointer.join('/')}` });
  validate(value);
  expect(validate.errors ?? [], `${place.join(' ')}: ${JSON.stringify(value)?.slice(0, 800)}`).toEqual([]);
}

/** Expects the document to have the status, type and body of a response to this call. */
export function expectDocumented(method: string, path: string, answer: ApiResponse<unknown>): void {
  const call = `${method} ${path}`;
  const operation = document.paths[path]?.[method.toLowerCase()];
  expect(operation, `${call} is documented`).toBeDefined();
  const response = operation?.responses[answer.status];
  expect(
    response,
    `${call} ${answer.status} is documented: ${answer.bytes.toString('latin1', 0, 300)}`,
  ).toBeDefined();
  if (!response?.content) {
    expect(answer.bytes.length, `${call} has no body`).toBe(0);
    return;
  }
  const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
  expect(Object.keys(response.content), `${call} type`).toContain(type);
  if (!type.includes('json')) return;
  const place = ['paths', path, method.toLowerCase(), 'responses', String(answer.status), 'content', type];
  expectSchema([...place, 'schema'], answer.body);
}
