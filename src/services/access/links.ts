import { timingSafeEqual } from 'node:crypto';
import type { ApiKeyQueries } from '../../db/api-keys.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { ImageRef } from '../../model/image.ts';
import type { Identity, Principal } from '../../model/principal.ts';
import { keyHasEnded } from './api-keys.ts';
import { imageNotFound } from '../image-errors.ts';
import type { SecretRing } from './secret-ring.ts';

/** Version of the signed text. */
const version = 1;

/** Query parameters of a signed link. */
const parameters = { tenant: 'tenant', expires: 'expires', key: 'key', signature: 'signature' } as const;

/** A signed URL path, and the time until which it works. */
export interface Link {
  readonly path: string;
  readonly expiresAt: Date;
}

/** A verified link. */
export interface VerifiedLink {
  /** Has only the scope that reading the picture needs, and only for the tenant of the image. */
  readonly identity: Identity;
  /** Seconds until the link expires. */
  readonly secondsLeft: number;
}

/** Signs URLs of pictures, so that web pages can show them without a key. */
export interface Links {
  /**
   * Creates a link to a rendition. It expires after `expiresInSeconds`, or with the key of the caller if that expires earlier.
   * @throws {AppError} `image_not_found`, `unknown_preset`; `unauthenticated` if the caller's key has just ended.
   */
  toRendition(
    principal: Principal,
    imageRef: ImageRef,
    preset: string,
    expiresInSeconds: number,
  ): Promise<Link>;
  /** Creates a link to an original, as `toRendition` does. @throws {AppError} `image_not_found`, `unauthenticated`. */
  toOriginal(principal: Principal, imageRef: ImageRef, expiresInSeconds: number): Promise<Link>;
  /**
   * Verifies the signature of a request, if it has one. A wrong signature is an error even where none is needed.
   * @param url path and query exactly as in the request
   * @param scope that reading the picture needs
   * @throws {AppError} `invalid_signature`.
   */
  verify(method: string, url: string, scope: Scope): VerifiedLink | undefined;
}

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions'>;
  readonly apiKeys: Pick<ApiKeyQueries, 'findRemainingMs'>;
  readonly presets: readonly { readonly name: string }[];
  readonly ring: SecretRing;
  /** Current time in milliseconds since 1970. */
  readonly now?: () => number;
}

/** Form of a link. The signature is last, so that it covers everything before it. */
const linkPattern = new RegExp(
  `^(/.*?)[?]${parameters.expires}=(\\d{1,12})&${parameters.key}=([0-9a-f]{8})&${parameters.tenant}=(\\d{1,15})&${parameters.signature}=([A-Za-z0-9_-]{43})$`,
);

/** @see Links */
export function makeLinks({ images, apiKeys, presets, ring, now = Date.now }: Dependencies): Links {
  /** A key must not leave anything behind that outlives it. Returns seconds. */
  async function limitLifetime({ keyId }: Principal, expiresInSeconds: number): Promise<number> {
    const remainingMs = keyId === null ? null : await apiKeys.findRemainingMs(keyId);
    if (remainingMs === undefined) throw keyHasEnded();
    return remainingMs === null ? expiresInSeconds : Math.min(expiresInSeconds, remainingMs / 1_000);
  }

  /** @param picture the part of the path after the image */
  async function create(
    principal: Principal,
    imageRef: ImageRef,
    picture: string,
    expiresInSeconds: number,
  ): Promise<Link> {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    const expires = Math.floor(now() / 1_000 + (await limitLifetime(principal, expiresInSeconds)));
    const query = new URLSearchParams({
      [parameters.expires]: String(expires),
      [parameters.key]: ring.newestId,
      [parameters.tenant]: String(image.tenantId),
    });
    const unsigned = `/v1/images/${image.uuid}/${picture}?${query.toString()}`;
    const signature = ring.seal('link', toSignedText(unsigned)).code.toString('base64url');
    return {
      path: `${unsigned}&${parameters.signature}=${signature}`,
      expiresAt: new Date(expires * 1_000),
    };
  }

  return {
    async toRendition(principal, imageRef, preset, expiresInSeconds) {
      assertPreset(presets, preset);
      return create(principal, imageRef, `renditions/${preset}`, expiresInSeconds);
    },
    toOriginal: (principal, imageRef, expiresInSeconds) =>
      create(principal, imageRef, 'original', expiresInSeconds),

    verify(method, url, scope) {
      const query = readQuery(url);
      if (!query.has(parameters.signature)) {
        // A shell cuts an unquoted link at the first "&"; in a link that was copied from HTML, "&" is "&amp;".
        if (query.has(parameters.expires)) throw incompleteLink();
        return undefined;
      }
      const [, , expires, secretId = '', tenant, signature = ''] = linkPattern.exec(url) ?? [];
      const unsigned = url.slice(0, -`&${parameters.signature}=${signature}`.length);
      // Compared as text, because several spellings of base64 stand for the same bytes.
      const expected = ring.codeOf('link', toSignedText(unsigned), secretId)?.toString('base64url') ?? '';
      const isGenuine = signature !== '' && isEqual(signature, expected);
      const secondsLeft = Number(expires) - now() / 1_000;
      const isRead = method === 'GET' || method === 'HEAD';
      if (!isGenuine || !isRead || !(secondsLeft > 0)) throw invalidSignature(isGenuine);
      return { identity: linkIdentity(Number(tenant), scope), secondsLeft: Math.floor(secondsLeft) };
    },
  };
}

/** Reads the query of a URL in any spelling, such as with percent-encoded letters. */
function readQuery(url: string): URLSearchParams {
  const separator = url.indexOf('?');
  return new URLSearchParams(separator < 0 ? '' : url.slice(separator + 1));
}

/**
 * The signed text is the URL as it is, because a URL with a different spelling is a different URL: caches and logs would not
 * recognise it as the same.
 */
function toSignedText(unsignedUrl: string): string {
  return `${version}\nGET\n${unsignedUrl}`;
}

function assertPreset(presets: Dependencies['presets'], preset: string): void {
  if (presets.some(({ name }) => name === preset)) return;
  throw new AppError(
    'unknown_preset',
    `There is no preset ${JSON.stringify(preset.slice(0, 40))}; the presets are ${presets.map(({ name }) => name).join(', ')}.`,
  );
}

function isEqual(given: string, expected: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The tenant in the link is signed, so that the link can never show the image of a different tenant. */
function linkIdentity(tenantId: number, scope: Scope): Identity {
  return { subject: 'signed link', keyId: null, tenantId, tenantName: null, scopes: new Set([scope]) };
}

function incompleteLink(): AppError {
  return new AppError(
    'invalid_signature',
    'The link is incomplete: it has no signature. Quote it in a shell, and write "&amp;" instead of "&" only in HTML.',
  );
}

function invalidSignature(isGenuine: boolean): AppError {
  return new AppError(
    'invalid_signature',
    isGenuine
      ? 'This link has expired; request a new one.'
      : 'The signature of this link does not match its URL. Use the URL exactly as it was issued.',
  );
}
