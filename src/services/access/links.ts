import type { ApiKeyQueries } from '../../db/api-keys.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { ImageRef } from '../../model/image.ts';
import type { Preset, RenditionFormat } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { renditionPath } from '../../model/rendition-address.ts';
import { imageNotFound } from '../image-errors.ts';
import { keyHasEnded } from './api-keys.ts';
import type { SecretRing } from './secret-ring.ts';
import {
  incompleteLink,
  invalidSignature,
  isEqual,
  isRead,
  signedIdentity,
  toSignedText,
  type VerifiedLink,
} from './signatures.ts';
import type { SignedPaths } from './signed-paths.ts';

/** Query parameters of a signed link. */
const parameters = { tenant: 'tenant', expires: 'expires', key: 'key', signature: 'signature' } as const;

/** A signed URL path, and the time until which it works. */
export interface Link {
  readonly path: string;
  readonly expiresAt: Date;
}

/** A link to a rendition, which is served at two URLs. */
export interface RenditionLink extends Link {
  /** Signed path under `/i/`. */
  readonly deliveryPath: string;
}

/** A rendition to which a link is made. */
export interface LinkedRendition {
  readonly preset: string;
  /** Without a format, the URL under `/i/` negotiates it by `Accept`. */
  readonly format?: RenditionFormat | undefined;
  /** Pixel density; 1 if absent. */
  readonly density?: number | undefined;
}

/** Signs URLs of pictures, so that web pages can show them without a key. */
export interface Links {
  /**
   * Creates a link to a rendition. It expires after `expiresInSeconds`, or with the key of the caller if that expires earlier.
   * @throws {AppError} `image_not_found`, `unknown_preset`, `invalid_request` if the preset lacks the format or density;
   *   `unauthenticated` if the caller's key has just ended.
   */
  toRendition(
    principal: Principal,
    imageRef: ImageRef,
    rendition: LinkedRendition,
    expiresInSeconds: number,
  ): Promise<RenditionLink>;
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
  readonly presets: Pick<PresetsInForce, 'list' | 'find'>;
  readonly ring: SecretRing;
  readonly signedPaths: Pick<SignedPaths, 'sign'>;
  /** Current time in milliseconds since 1970. */
  readonly now?: () => number;
}

/** Form of a link. The signature is last, so that it covers everything before it. */
const linkPattern = new RegExp(
  `^(/.*?)[?]${parameters.expires}=(\\d{1,12})&${parameters.key}=([0-9a-f]{8})&${parameters.tenant}=(\\d{1,15})&${parameters.signature}=([A-Za-z0-9_-]{43})$`,
);

/** @see Links */
export function makeLinks(dependencies: Dependencies): Links {
  const { images, apiKeys, presets, ring, signedPaths, now = Date.now } = dependencies;

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
  ): Promise<Link & { readonly uuid: string; readonly expires: number }> {
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
      uuid: image.uuid,
      expires,
    };
  }

  return {
    async toRendition(principal, imageRef, { preset, format, density = 1 }, expiresInSeconds) {
      assertOffered(findPreset(presets, preset), format, density);
      const link = await create(principal, imageRef, `renditions/${preset}`, expiresInSeconds);
      const path = renditionPath(link.uuid, { preset, density, ...(format && { format }) });
      return { ...link, deliveryPath: signedPaths.sign(path, link.expires) };
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
      if (!isGenuine || !isRead(method) || !(secondsLeft > 0)) throw invalidSignature(isGenuine);
      return { identity: signedIdentity(Number(tenant), scope), secondsLeft: Math.floor(secondsLeft) };
    },
  };
}

/** Reads the query of a URL in any spelling, such as with percent-encoded letters. */
function readQuery(url: string): URLSearchParams {
  const separator = url.indexOf('?');
  return new URLSearchParams(separator < 0 ? '' : url.slice(separator + 1));
}

function findPreset(presets: Dependencies['presets'], preset: string): Preset {
  const found = presets.find(preset);
  if (found) return found;
  throw new AppError(
    'unknown_preset',
    `There is no preset ${JSON.stringify(preset.slice(0, 40))}; the presets are ${presets
      .list()
      .map(({ name }) => name)
      .join(', ')}.`,
  );
}

function assertOffered(
  { name, formats, densities }: Preset,
  format: RenditionFormat | undefined,
  density: number,
): void {
  if (format !== undefined && !formats.includes(format))
    throw new AppError(
      'invalid_request',
      `The preset "${name}" has no format ${format}; its formats are ${formats.join(', ')}.`,
    );
  if (!densities.includes(density))
    throw new AppError(
      'invalid_request',
      `The preset "${name}" has no density ${density}; it has ${densities.join(', ')}.`,
    );
}
