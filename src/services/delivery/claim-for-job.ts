import { randomUUID } from 'node:crypto';
import type { VariantClaimQueries } from '../../db/renditions/variant-claims.ts';
import type { Logger } from '../../model/logger.ts';
import { claimLease, toAppError } from './claim-variant.ts';
import { repeatFailure } from './recent-failures.ts';
import type { CurrentVariant } from './variants.ts';

interface Dependencies {
  readonly claims: Pick<VariantClaimQueries, 'claim' | 'extend' | 'release'>;
  readonly logger: Logger;
}

/** Variants that a job may make, unless a request recorded them just before. */
export interface ClaimedVariants {
  readonly variants: readonly CurrentVariant[];
  /** Must be called after the variants have been made or have failed. */
  release(): Promise<void>;
}

/**
 * Claims variants of an image for a job. Skips those that a request is making, so that a request and a job never make the same
 * variant at the same time.
 * @throws {AppError} the error of the last attempt, if a request recently failed to make a variant
 */
export type ClaimForJob = (imageId: number, wanted: readonly CurrentVariant[]) => Promise<ClaimedVariants>;

/** Claims all variants, where there is only one process. */
export const claimAll: ClaimForJob = (_imageId, variants) =>
  Promise.resolve({ variants, release: () => Promise.resolve() });

/** @see ClaimForJob */
export function makeClaimForJob({ claims, logger }: Dependencies): ClaimForJob {
  return async (imageId, wanted) => {
    const token = randomUUID();
    const claimed: CurrentVariant[] = [];
    const toClaim = ({ name, recipe }: CurrentVariant) => ({ imageId, ...name, recipe });
    const release = async (): Promise<void> => {
      clearInterval(timer);
      for (const variant of claimed) await claims.release(toClaim(variant), token);
    };
    const extend = async (): Promise<void> => {
      for (const variant of claimed) await claims.extend(toClaim(variant), token, claimLease.seconds);
    };
    const timer = setInterval(() => {
      extend().catch((error: unknown) => {
        logger.warn({ err: error, image: imageId }, 'failed to extend the claim on a rendition');
      });
    }, claimLease.extensionMs).unref();
    try {
      for (const variant of wanted) {
        const result = await claims.claim(toClaim(variant), token, claimLease.seconds);
        if (result.outcome === 'failed')
          throw repeatFailure(toAppError(result.code, result.error), result.retrySeconds);
        if (result.outcome === 'claimed') claimed.push(variant);
      }
      return { variants: claimed, release };
    } catch (error) {
      await release();
      throw error;
    }
  };
}
