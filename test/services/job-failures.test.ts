import { expect, test } from 'vitest';
import { decideNext } from '../../src/services/job-failures.ts';

const giveUp = (retriesUsed: number) => ({ next: 'give-up', retriesUsed });
const retryAfter = (delaySeconds: number, attempt: number) => ({
  next: 'retry',
  delaySeconds,
  budget: 'retries',
  attempt,
  maxAttempts: 3,
});

test.each([
  { retries: 0, crashes: 0, failureClass: 'transient', verdict: retryAfter(2, 1) },
  { retries: 1, crashes: 0, failureClass: 'transient', verdict: retryAfter(4, 2) },
  { retries: 2, crashes: 0, failureClass: 'transient', verdict: retryAfter(8, 3) },
  { retries: 3, crashes: 0, failureClass: 'transient', verdict: giveUp(3) },
  // Crashes and retries have separate budgets.
  { retries: 0, crashes: 1, failureClass: 'transient', verdict: retryAfter(2, 1) },
  {
    retries: 3,
    crashes: 0,
    failureClass: 'crash',
    verdict: { next: 'retry', delaySeconds: 0, budget: 'crashes', attempt: 1, maxAttempts: 1 },
  },
  { retries: 0, crashes: 1, failureClass: 'crash', verdict: giveUp(1) },
  { retries: 0, crashes: 0, failureClass: 'permanent', verdict: giveUp(0) },
  { retries: 3, crashes: 1, failureClass: 'permanent', verdict: giveUp(0) },
] as const)(
  'after $retries retries and $crashes crashes, a $failureClass failure means: $verdict.next',
  ({ verdict, failureClass, ...job }) => expect(decideNext(job, failureClass)).toEqual(verdict),
);
