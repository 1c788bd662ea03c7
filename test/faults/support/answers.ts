import { expect } from 'vitest';
import type { Answer } from '../../support/process/client.ts';

/** Looks at every answer that clients get while something is broken. */
export interface AnswerWatch {
  readonly observe: (answer: Answer | Error) => void;
  /** How many answers each status had. */
  readonly statuses: ReadonlyMap<number, number>;
  /** Answers that nobody may get, as sentences. */
  readonly wrong: readonly string[];
}

/** Refusals that say "later"; anything else would blame a sound picture, or tell of a bug. */
const refusals = new Set([503, 507]);

/** @see AnswerWatch */
export function watchAnswers(): AnswerWatch {
  const statuses = new Map<number, number>();
  const wrong: string[] = [];
  return {
    wrong,
    statuses,
    observe(answer) {
      if (answer instanceof Error) return void wrong.push(`no answer: ${reasonOf(answer)}`);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      const problem = problemOf(answer);
      if (problem) wrong.push(`${answer.status}, ${problem}: ${answer.bytes.toString('utf8').slice(0, 300)}`);
    },
  };
}

/** Holds the service to it that nobody got a wrong answer. */
export function expectSoundAnswers({ wrong }: AnswerWatch): void {
  expect(wrong, 'answers that nobody may get').toEqual([]);
}

function problemOf({ status, headers, bytes }: Answer): string | undefined {
  if (status < 300) return undefined;
  if (!refusals.has(status)) return 'not a status of an outage';
  if (!headers.get('content-type')?.startsWith('application/problem+json')) return 'not a problem';
  if (status === 503 && !headers.has('retry-after')) return 'no Retry-After';
  const { detail } = JSON.parse(bytes.toString('utf8')) as { detail?: string };
  return /^.{10,}\.$/s.test(detail ?? '') ? undefined : 'no sentence';
}

function reasonOf(error: Error): string {
  return `${error.message} ${error.cause instanceof Error ? error.cause.message : ''}`.trim();
}
