import { expect } from 'vitest';
import type { ApiResponse } from '../../support/process/client.ts';

/** Checks every response that clients receive during faults. */
export interface ResponseMonitor {
  readonly observe: (response: ApiResponse | Error) => void;
  /** Number of responses per status. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Descriptions of unacceptable responses. */
  readonly violations: readonly string[];
}

/** The acceptable error statuses. Both tell the client to retry. */
const acceptableErrors = new Set([503, 507]);

/** Creates a response monitor. */
export function monitorResponses(): ResponseMonitor {
  const statuses = new Map<number, number>();
  const violations: string[] = [];
  return {
    violations,
    statuses,
    observe(response) {
      if (response instanceof Error) return void violations.push(`no response: ${describeError(response)}`);
      const { status, bytes } = response;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const violation = findViolation(response);
      if (violation) violations.push(`${status}, ${violation}: ${bytes.toString('utf8').slice(0, 300)}`);
    },
  };
}

/** Expects that no client has received an unacceptable response. */
export function expectAcceptableResponses({ violations }: ResponseMonitor): void {
  expect(violations, 'unacceptable responses').toEqual([]);
}

function findViolation({ status, headers, bytes }: ApiResponse): string | undefined {
  if (status < 300) return undefined;
  if (!acceptableErrors.has(status)) return 'not a status that asks for a retry';
  if (!headers.get('content-type')?.startsWith('application/problem+json')) return 'not a problem document';
  if (status === 503 && !headers.has('retry-after')) return 'no Retry-After';
  const { detail } = JSON.parse(bytes.toString('utf8')) as { detail?: string };
  return /^.{10,}\.$/s.test(detail ?? '') ? undefined : 'detail is not a sentence';
}

function describeError(error: Error): string {
  return `${error.message} ${error.cause instanceof Error ? error.cause.message : ''}`.trim();
}
