import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';

interface Dependencies {
  /** The token that confirms purges; if unset, purges that require one are refused. */
  readonly confirmToken: string | undefined;
  /** Whether others than this machine can reach the server. */
  readonly isExposed: boolean;
  readonly logger: Logger;
}

/** A purge that is no dry run. */
interface ConfirmedPurge {
  /** Living images without references, or images that were deleted before. */
  readonly scope: 'unused' | 'deleted';
  /** Every token in the request; a wrong one refuses the purge. */
  readonly tokens: readonly string[];
}

/**
 * The rule of all surfaces for irreversible operations. A purge of unused images always requires confirmation. A purge
 * of deleted images requires it if others than this machine can reach the server; older local clients send no token.
 * @throws {AppError} `purge_refused`
 */
export type ConfirmPurge = (principal: Principal, purge: ConfirmedPurge) => void;

/** @see ConfirmPurge */
export function makeConfirmPurge({ confirmToken, isExposed, logger }: Dependencies): ConfirmPurge {
  return (principal, { scope, tokens }) => {
    if (scope === 'deleted' && !isExposed) return;
    const refusal = refuse(confirmToken, tokens);
    if (refusal === undefined) return;
    logger.warn({ scope, ...whoCalled(principal) }, `a purge of ${scope} images was refused`);
    throw new AppError('purge_refused', refusal);
  };
}

function refuse(expected: string | undefined, tokens: readonly string[]): string | undefined {
  if (expected === undefined)
    return 'Others than this machine reach this server, and it has no PURGE_CONFIRM_TOKEN: set that variable and start again, then send its value as confirm_token in the body or in the header X-Confirm-Token.';
  if (tokens.length === 0)
    return 'A purge has to be confirmed: send the value of PURGE_CONFIRM_TOKEN as confirm_token in the body or in the header X-Confirm-Token, or make it a dry run to see what it would remove.';
  // All are compared, so that the response time does not reveal which one was wrong.
  const wrong = tokens.filter((token) => !isSame(token, expected));
  return wrong.length === 0
    ? undefined
    : 'The token (confirm_token in the body, or the header X-Confirm-Token) is not the value of PURGE_CONFIRM_TOKEN; nothing was removed.';
}

/** Compared in constant time, over digests of equal length: the response time reveals nothing about the token. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text.trim()).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
