import { expect } from 'vitest';
import { errorTable } from '../../../src/errors.ts';
import type { ApiResponse } from '../../support/process/client.ts';
import { expectDocumented } from '../support/documented.ts';
import type { Case } from './requests.ts';

/** Checks a response against the document and the validity of its request. @throws {Error} what is wrong with it */
export function judge({ operation, expected }: Case, response: ApiResponse<unknown>): void {
  expect(response.status, response.bytes.toString('utf8', 0, 300)).toBeLessThan(500);
  expectDocumented(operation.method, operation.path, response);
  expectSafe(response);
  if (response.status >= 400) judgeProblem(response);
  if (expected === 'refusal') expect(response.status, 'a refusal').toBeGreaterThanOrEqual(400);
  // The document does not contain storage paths.
  const isElsewhere = response.status === 409 && codeOf(response) === 'upload_not_offered';
  if (expected === 'success' && !isElsewhere)
    expect(response.status, response.bytes.toString('utf8', 0, 300)).toBeLessThan(400);
}

function codeOf(response: ApiResponse<unknown>): unknown {
  return (response.body as Record<string, unknown>)['code'];
}

/** Checks the rules for every error. */
export function judgeProblem(response: ApiResponse<unknown>): void {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.headers.get('cache-control')).toBe('no-store');
  expectSafe(response);
  const { status, code, detail, type } = response.body as Record<string, unknown>;
  expect(status).toBe(response.status);
  expect(errorTable).toHaveProperty([String(code)]);
  expect(errorTable[code as keyof typeof errorTable].status).toBe(response.status);
  expect(type).toBe(`urn:vitrine:error:${String(code)}`);
  expect(detail).toMatch(/^.{10,}\.$/s);
}

function expectSafe({ headers }: ApiResponse<unknown>): void {
  expect(headers.get('x-content-type-options'), 'browsers must not sniff the type').toBe('nosniff');
}
