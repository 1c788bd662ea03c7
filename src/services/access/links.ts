import { timingSafeEqual } from 'node:crypto';
import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { ImageRef } from '../../model/image.ts';
import type { Identity, Principal } from '../../model/principal.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
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
  /** Creates a link to a rendition. @throws {AppError} `image_not_found`, `unknown_preset`. */
  toRendition(
    principal: Principal,
    imageRef: ImageRef,
    preset: string,
    expiresInSeconds: number,
  ): Promise<Link>;
  /** Creates a link to an original. @throws {AppError} `image_not_found`. */
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
  readonly presets: Pick<PresetsInForce, 'list' | 'find'>;
  readonly ring: SecretRing;
  /** Current time in milliseconds since 1970. */
  readonly now?: () => number;
}

/** Form of a link. The signature is last, so that it covers everything before it. */
const linkPattern = new RegExp(
  `^(/.*?)[?]${parameters.expires}=(\\d{1,12})&${parameters.key}=([0-9a-f]{8})&${parameters.tenant}=(\\d{1,15})&${parameters.signature}=([A-Za-z0-9_-]{43})$`,
);

/** @see Links */
export function makeLinks({ images, presets, ring, now = Date.now }: Dependencies): Links {
  /** @param picture the part of the path after the image */
  async function create(
    principal: Principal,
    imageRef: ImageRef,
    picture: string,
    expiresInSeconds: number,
  ): Promise<Link> {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    const expires = Math.floor(now() / 1_000) + expiresInSeconds;
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
      if (!hasSignature(url)) return undefined;
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

/** Whether a URL has a signature in any spelling, such as with percent-encoded letters. */
function hasSignature(url: string): boolean {
  const separator = url.indexOf('?');
  return separator >= 0 && new URLSearchParams(url.slice(separator + 1)).has(parameters.signature);
}

/**
 * The signed text is the URL as it is, because a URL with a different spelling is a different URL: caches and logs would not
 * recognise it as the same.
 */
function toSignedText(unsignedUrl: string): string {
  return `${version}\nGET\n${unsignedUrl}`;
}

function assertPreset(presets: Dependencies['presets'], preset: string): void {
  if (presets.find(preset)) return;
  throw new AppError(
    'unknown_preset',
    `There is no preset ${JSON.stringify(preset.slice(0, 40))}; the presets are ${presets
      .list()
      .map(({ name }) => name)
      .join(', ')}.`,
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

function invalidSignature(isGenuine: boolean): AppError {
  return new AppError(
    'invalid_signature',
    isGenuine
      ? 'This link has expired; request a new one.'
      : 'The signature of this link does not match its URL. Use the URL exactly as it was issued.',
  );
}
