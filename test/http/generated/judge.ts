import { expect } from 'vitest';
import { errorTable } from '../../../src/errors.ts';
import type { Answer } from '../../support/process/client.ts';
import { expectDocumented } from '../support/documented.ts';
import type { Case } from './requests.ts';

/** Holds an answer to the document and to what the request deserved. @throws what is wrong with it */
export function judge({ operation, expected }: Case, answer: Answer<unknown>): void {
  expect(answer.status, answer.bytes.toString('utf8', 0, 300)).toBeLessThan(500);
  expectDocumented(operation.method, operation.path, answer);
  expectSafe(answer);
  if (answer.status >= 400) judgeProblem(answer);
  if (expected === 'refusal') expect(answer.status, 'a refusal').toBeGreaterThanOrEqual(400);
  // No document tells where the pictures of a server lie.
  const isElsewhere = answer.status === 409 && codeOf(answer) === 'upload_not_offered';
  if (expected === 'success' && !isElsewhere)
    expect(answer.status, answer.bytes.toString('utf8', 0, 300)).toBeLessThan(400);
}

function codeOf(answer: Answer<unknown>): unknown {
  return (answer.body as Record<string, unknown>)['code'];
}

/** Holds an error to what every error is. */
export function judgeProblem(answer: Answer<unknown>): void {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expectSafe(answer);
  const { status, code, detail, type } = answer.body as Record<string, unknown>;
  expect(status).toBe(answer.status);
  expect(errorTable).toHaveProperty([String(code)]);
  expect(errorTable[code as keyof typeof errorTable].status).toBe(answer.status);
  expect(type).toBe(`urn:vitrine:error:${String(code)}`);
  expect(detail).toMatch(/^.{10,}\.$/s);
}

function expectSafe({ headers }: Answer<unknown>): void {
  expect(headers.get('x-content-type-options'), 'no answer is guessed to be of another type').toBe('nosniff');
}
