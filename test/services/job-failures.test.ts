import { expect, test } from 'vitest';
import { decideNext } from '../../src/services/job-failures.ts';

const makeGiveUpDecision = (retriesUsed: number) => ({ next: 'give-up', retriesUsed });
const makeRetryDecision = (delaySeconds: number, retryNumber: number) => ({
  next: 'retry',
  delaySeconds,
  counter: 'retries',
  retryNumber,
  maxRetries: 3,
});

test.each([
  { retries: 0, crashes: 0, failureClass: 'transient', decision: makeRetryDecision(2, 1) },
  { retries: 1, crashes: 0, failureClass: 'transient', decision: makeRetryDecision(4, 2) },
  { retries: 2, crashes: 0, failureClass: 'transient', decision: makeRetryDecision(8, 3) },
  { retries: 3, crashes: 0, failureClass: 'transient', decision: makeGiveUpDecision(3) },
  // Crashes and retries have separate counters.
  { retries: 0, crashes: 1, failureClass: 'transient', decision: makeRetryDecision(2, 1) },
  {
    retries: 3,
    crashes: 0,
    failureClass: 'crash',
    decision: { next: 'retry', delaySeconds: 0, counter: 'crashes', retryNumber: 1, maxRetries: 1 },
  },
  { retries: 0, crashes: 1, failureClass: 'crash', decision: makeGiveUpDecision(1) },
  { retries: 0, crashes: 0, failureClass: 'permanent', decision: makeGiveUpDecision(0) },
  { retries: 3, crashes: 1, failureClass: 'permanent', decision: makeGiveUpDecision(0) },
] as const)(
  'chooses $decision.next for a $failureClass failure (retries: $retries, crashes: $crashes)',
  ({ decision, failureClass, ...job }) => expect(decideNext(job, failureClass)).toEqual(decision),
);
