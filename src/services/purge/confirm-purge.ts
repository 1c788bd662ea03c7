import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';

interface Dependencies {
  /** The token that confirms purges. If unset, purges that require one are refused. */
  readonly confirmToken: string | undefined;
  /** Whether other machines can reach the server. */
  readonly isExposed: boolean;
  readonly logger: Logger;
}

/** A purge that is not a dry run. */
interface ConfirmedPurge {
  /** Images without references, or deleted images. */
  readonly scope: 'unused' | 'deleted';
  /** All tokens in the request. Each must be right. */
  readonly tokens: readonly string[];
}

/**
 * Checks the confirmation of a purge. A purge of unused images always requires one. A purge of deleted images requires one
 * only if other machines can reach the server, because older local clients send no token.
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
    return 'Other machines can reach this server, and it has no PURGE_CONFIRM_TOKEN: set that variable and restart the server, then send its value as confirm_token in the body or in the header X-Confirm-Token.';
  if (tokens.length === 0)
    return 'A purge must be confirmed: send the value of PURGE_CONFIRM_TOKEN as confirm_token in the body or in the header X-Confirm-Token, or use a dry run to see what it would remove.';
  // Compares all tokens, so that the response time does not reveal which one is wrong.
  const wrong = tokens.filter((token) => !isSame(token, expected));
  return wrong.length === 0
    ? undefined
    : 'The token (confirm_token in the body, or the header X-Confirm-Token) is not the value of PURGE_CONFIRM_TOKEN; nothing was removed.';
}

/** Compares digests of equal length in constant time, so that the response time reveals nothing about the token. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text.trim()).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
