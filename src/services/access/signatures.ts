import { timingSafeEqual } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { Identity } from '../../model/principal.ts';

/** Version of the signed text. */
const version = 1;

/** A verified link. */
export interface VerifiedLink {
  /** Has only the scope that reading the picture needs, and only for the tenant of the image. */
  readonly identity: Identity;
  /** Seconds until the link expires. */
  readonly secondsLeft: number;
}

/**
 * The signed text is the URL as it is, because a URL with a different spelling is a different URL: caches and logs would not
 * recognise it as the same.
 */
export function toSignedText(unsignedUrl: string): string {
  return `${version}\nGET\n${unsignedUrl}`;
}

/** Compares two texts in a time that does not depend on where they differ. */
export function isEqual(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Whether links work for a method. */
export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * Returns who uses a link. The tenant in the link is signed, or is that of the image that the link names, so that the link can
 * never show the image of a different tenant.
 */
export function signedIdentity(tenantId: number, scope: Scope): Identity {
  return { subject: 'signed link', keyId: null, tenantId, tenantName: null, scopes: new Set([scope]) };
}

/** Returns the error for a link that lost its signature on the way. */
export function incompleteLink(): AppError {
  return new AppError(
    'invalid_signature',
    'The link is incomplete: it has no signature. Quote it in a shell, and write "&amp;" instead of "&" only in HTML.',
  );
}

/** @param isGenuine whether only the time or the method is wrong */
export function invalidSignature(isGenuine: boolean): AppError {
  return new AppError(
    'invalid_signature',
    isGenuine
      ? 'This link has expired; request a new one.'
      : 'The signature of this link does not match its URL. Use the URL exactly as it was issued.',
  );
}
