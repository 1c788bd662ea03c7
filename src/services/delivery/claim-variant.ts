import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimableVariant, VariantClaimQueries } from '../../db/renditions/variant-claims.ts';
import { AppError, asAppError, type ErrorCode, errorTable } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import { imageNotFound } from '../image-errors.ts';
import { isLasting, repeatFailure } from './recent-failures.ts';

interface Dependencies {
  readonly claims: VariantClaimQueries;
  readonly logger: Logger;
  /** How long to wait for another process. */
  readonly waitMs: number;
}

/**
 * Makes a variant in only one of the processes. The others wait until it has been recorded.
 * @param findDone returns the result if another process has made it
 * @param make makes the variant in this process
 * @throws {AppError} the error of `make`, also if another process failed recently; `unavailable` if another process takes too
 *   long; or the abort reason, which only ends a wait.
 */
export type ClaimVariant = <T>(
  variant: ClaimableVariant,
  signal: AbortSignal,
  findDone: () => Promise<T | undefined>,
  make: () => Promise<T>,
) => Promise<T>;

/** Makes variants where there is only one process. */
export const claimNothing: ClaimVariant = (_variant, _signal, _findDone, make) => make();

/** A process that has not extended its claim for this long has lost it. */
export const claimLease = { seconds: 15, extensionMs: 5_000 } as const;

/** Intervals at which to check whether another process has made the variant. Each is 1.5 times as long as the previous one. */
const firstPauseMs = 40;
const maxPauseMs = 1_000;

/** @see ClaimVariant */
export function makeClaimVariant(deps: Dependencies): ClaimVariant {
  const { claims, waitMs } = deps;
  return async (variant, signal, findDone, make) => {
    const token = randomUUID();
    const deadline = performance.now() + waitMs;
    let pauseMs = firstPauseMs;
    for (;;) {
      const result = await claims.claim(variant, token, claimLease.seconds);
      if (result.outcome === 'failed')
        throw repeatFailure(toAppError(result.code, result.error), result.retrySeconds);
      if (result.outcome === 'image-removed') throw imageNotFound({ id: variant.imageId });
      // Another process may have recorded the variant just before this claim.
      const done = await findDone();
      if (result.outcome === 'claimed')
        return done === undefined
          ? runClaimed(deps, variant, token, make)
          : giveUp(claims, variant, token, done);
      if (done !== undefined) return done;
      if (performance.now() + pauseMs > deadline) throw takesTooLong(waitMs);
      await sleep(pauseMs * (0.75 + Math.random() / 2), undefined, { signal });
      pauseMs = Math.min(maxPauseMs, pauseMs * 1.5);
    }
  };
}

async function giveUp<T>(
  claims: VariantClaimQueries,
  variant: ClaimableVariant,
  token: string,
  done: T,
): Promise<T> {
  await claims.release(variant, token);
  return done;
}

/** Extends the claim while `make` runs. Recording the variant ends the claim; a failure is recorded or releases it. */
async function runClaimed<T>(
  { claims, logger }: Dependencies,
  variant: ClaimableVariant,
  token: string,
  make: () => Promise<T>,
): Promise<T> {
  const timer = setInterval(() => {
    claims.extend(variant, token, claimLease.seconds).catch((error: unknown) => {
      logger.warn({ err: error, image: variant.imageId }, 'failed to extend the claim on a rendition');
    });
  }, claimLease.extensionMs).unref();
  try {
    const made = await make();
    // Nothing has been recorded if the image has changed.
    if (typeof made === 'string') await claims.release(variant, token);
    return made;
  } catch (error) {
    const { code, message } = asAppError(error);
    const ending =
      error instanceof AppError && isLasting(error)
        ? claims.fail(variant, token, { code, error: message })
        : claims.release(variant, token);
    await ending.catch((endingError: unknown) => {
      logger.warn({ err: endingError, image: variant.imageId }, 'failed to end the claim on a rendition');
    });
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Restores the error of another process. If this version does not define its code, the code is `picture_damaged`. */
export function toAppError(code: string, message: string): AppError {
  return new AppError(Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'picture_damaged', message);
}

function takesTooLong(waitMs: number): AppError {
  return new AppError(
    'unavailable',
    `The rendition is being made, but was not ready after ${Math.round(waitMs / 1000)} s.`,
    { retryAfterSeconds: 5 },
  );
}
