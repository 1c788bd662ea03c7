import { expect } from 'vitest';
import { errorTable } from '../../../src/errors.ts';
import type { ApiResponse } from '../../support/process/client.ts';
import { expectDocumented } from '../support/documented.ts';
import type { Case } from './requests.ts';

/** Checks a response against the OpenAPI document and the expected outcome. @throws {Error} if a check fails */
export function checkResponse({ operation, expected }: Case, response: ApiResponse<unknown>): void {
  // A server verifies only one audit log at a time, and the requests of this test are sent at the same time.
  if (operation.path === '/v1/audit/verification' && response.status === 503) return;
  expect(response.status, response.bytes.toString('utf8', 0, 300)).toBeLessThan(500);
  expectDocumented(operation.method, operation.path, response);
  expectSafe(response);
  if (response.status >= 400) expectProblem(response, operation.path.startsWith('/i/'));
  if (expected === 'rejection') expect(response.status, 'a rejection').toBeGreaterThanOrEqual(400);
  // The document does not specify whether the server offers presigned uploads, or whether a re-rendering has ended.
  const isConflict =
    response.status === 409 &&
    ['upload_not_offered', 'rendering_finished'].includes(String(findErrorCode(response)));
  if (expected === 'success' && !isConflict)
    expect(response.status, response.bytes.toString('utf8', 0, 300)).toBeLessThan(400);
}

function findErrorCode(response: ApiResponse<unknown>): unknown {
  return (response.body as Record<string, unknown>)['code'];
}

/**
 * Checks the rules that hold for every error response.
 * @param isBrieflyCached whether caches may keep the error for a short time
 */
export function expectProblem(response: ApiResponse<unknown>, isBrieflyCached = false): void {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.headers.get('cache-control')).toMatch(
    isBrieflyCached ? /^(?:no-store|public, max-age=(?:10|60))$/ : /^no-store$/,
  );
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
