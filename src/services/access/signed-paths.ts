import type { Scope } from '../../model/access.ts';
import type { ImageTenants } from './image-tenants.ts';
import type { SecretRing } from './secret-ring.ts';
import {
  invalidSignature,
  isEqual,
  isRead,
  signedIdentity,
  toSignedText,
  type VerifiedLink,
} from './signatures.ts';

/**
 * Signs URLs under `/i/`. The signature is a segment of the path, so that the URL ends with the extension of its
 * format: `/i/s/{secret}.{expiry}.{signature}/{uuid}/{name}`.
 */
export interface SignedPaths {
  /**
   * Signs a path `/i/{uuid}/{name}`.
   * @param expires seconds since 1970
   */
  sign(path: string, expires: number): string;
  /**
   * Verifies a request. Returns a promise only if the tenant of the image is not in memory.
   * @param url path exactly as in the request
   * @param scope that reading the picture needs
   * @throws {AppError} `invalid_signature`.
   */
  verify(method: string, url: string, scope: Scope): VerifiedLink | Promise<VerifiedLink>;
}

interface Dependencies {
  readonly imageTenants: ImageTenants;
  readonly ring: SecretRing;
  /** Current time in milliseconds since 1970. */
  readonly now?: () => number;
}

const pathPattern =
  /^\/i\/s\/([0-9a-f]{8})\.([1-9]\d{0,11})\.([A-Za-z0-9_-]{43})(\/([0-9a-f-]{36})\/[^/?#]+)$/;

/** An id that no tenant has, because ids start at 1. */
const noTenantId = 0;

/** @see SignedPaths */
export function makeSignedPaths({ imageTenants, ring, now = Date.now }: Dependencies): SignedPaths {
  /** The text cannot be that of a link with a query, whose path never begins with `/i/s/`. */
  const textOf = (secretId: string, expires: number | string, rest: string) =>
    toSignedText(`/i/s/${secretId}.${expires}${rest}`);

  return {
    sign(path, expires) {
      const rest = path.slice('/i'.length);
      const secretId = ring.newestId;
      const signature = ring.seal('link', textOf(secretId, expires, rest)).code.toString('base64url');
      return `/i/s/${secretId}.${expires}.${signature}${rest}`;
    },
    verify(method, url, scope) {
      const [, secretId = '', expires = '', signature = '', rest = '', uuid = ''] =
        pathPattern.exec(url) ?? [];
      const code = ring.codeOf('link', textOf(secretId, expires, rest), secretId);
      const isGenuine = signature !== '' && isEqual(signature, code?.toString('base64url') ?? '');
      const secondsLeft = Number(expires) - now() / 1_000;
      if (!isGenuine || !isRead(method) || !(secondsLeft > 0)) throw invalidSignature(isGenuine);
      const verified = (tenantId: number | undefined): VerifiedLink => ({
        identity: signedIdentity(tenantId ?? noTenantId, scope),
        secondsLeft: Math.floor(secondsLeft),
      });
      const tenantId = imageTenants.cached(uuid);
      return tenantId === undefined ? imageTenants.find(uuid).then(verified) : verified(tenantId);
    },
  };
}
