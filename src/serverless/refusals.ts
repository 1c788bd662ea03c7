import type { ServerResponse } from 'node:http';
import { ConfigError } from '../config.ts';
import { errorTable } from '../errors.ts';

/** Answers a request that reaches no app, in the format of all errors. */
export function answerRefusal(response: ServerResponse, status: 401 | 503, detail: string): void {
  const problem =
    status === 503
      ? { type: 'urn:vitrine:error:unavailable', title: errorTable.unavailable.title, code: 'unavailable' }
      : { type: 'about:blank', title: 'Unauthorized' };
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(JSON.stringify({ ...problem, status, detail }));
}

/** Why the app could not be made, for clients. What is no matter of settings stays in the log. */
export function reasonOfFailedStart(error: unknown): string {
  if (error instanceof ConfigError) return error.message.replaceAll(/\s*\n\s*/g, ' ');
  return 'Vitrine could not start; the log has the details.';
}
