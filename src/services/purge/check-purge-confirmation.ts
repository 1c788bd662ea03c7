import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, callerFields } from '../../model/principal.ts';

interface Dependencies {
  /** The token that confirms purges. If it is unset, purges that require a token are rejected. */
  readonly confirmToken: string | undefined;
  /** Whether the token protects against callers without rights, rather than only against accidents. */
  readonly needsToken: boolean;
  readonly logger: Logger;
}

/** A request for a purge that is not a dry run. */
interface PurgeRequest {
  /** Which images to purge: those without references, or those that are deleted. */
  readonly scope: 'unused' | 'deleted';
  /** The tokens in the request. All of them must match the configured token. */
  readonly tokens: readonly string[];
}

/**
 * Checks that a purge is confirmed. A purge of unused images always requires a token. A purge of deleted images only
 * requires a token if other machines can reach the server without a key, because older local clients do not send a token.
 * @throws {AppError} `purge_refused`
 */
export type CheckPurgeConfirmation = (principal: Principal, request: PurgeRequest) => void;

/** @see CheckPurgeConfirmation */
export function makeCheckPurgeConfirmation({
  confirmToken,
  needsToken,
  logger,
}: Dependencies): CheckPurgeConfirmation {
  return (principal, { scope, tokens }) => {
    if (scope === 'deleted' && !needsToken) return;
    const reason = rejectionReason(confirmToken, tokens);
    if (reason === undefined) return;
    logger.warn({ scope, ...callerFields(principal) }, `a purge of ${scope} images was rejected`);
    throw new AppError('purge_refused', reason);
  };
}

/** Returns why the tokens do not confirm a purge, or `undefined` if they do. */
function rejectionReason(expectedToken: string | undefined, tokens: readonly string[]): string | undefined {
  if (expectedToken === undefined)
    return 'Other machines can reach this server, and PURGE_CONFIRM_TOKEN is not set. Set it and restart the server, then send its value as confirm_token in the body or in the X-Confirm-Token header.';
  if (tokens.length === 0)
    return 'A purge must be confirmed: send the value of PURGE_CONFIRM_TOKEN (by default DELETE_CONFIRMED) as confirm_token in the body or in the X-Confirm-Token header, or use a dry run to see what would be removed.';
  // All tokens are compared, so that the response time does not reveal which token is wrong.
  const wrongTokens = tokens.filter((token) => !equalsInConstantTime(token, expectedToken));
  return wrongTokens.length === 0
    ? undefined
    : 'The token (confirm_token in the body or the X-Confirm-Token header) does not match PURGE_CONFIRM_TOKEN (by default DELETE_CONFIRMED); nothing was removed.';
}

/** Compares digests, which have equal lengths, so that the response time reveals nothing about the token. */
function equalsInConstantTime(token: string, expectedToken: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text.trim()).digest();
  return timingSafeEqual(digest(token), digest(expectedToken));
}
