import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { ImageRef } from '../../model/image.ts';
import type { Preset, RenditionFormat } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { renditionPath } from '../../model/rendition-address.ts';
import { imageNotFound } from '../image-errors.ts';
import type { SecretRing } from './secret-ring.ts';
import {
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

/** A link to a rendition, which is delivered at two addresses. */
export interface RenditionLink extends Link {
  /** Signed path under `/i/`. */
  readonly deliveryPath: string;
}

/** A rendition to which a link is made. */
export interface LinkedRendition {
  readonly preset: string;
  /** Without a format, the address under `/i/` chooses it by `Accept`. */
  readonly format?: RenditionFormat | undefined;
  /** Pixel density; 1 if absent. */
  readonly density?: number | undefined;
}

/** Signs URLs of pictures, so that web pages can show them without a key. */
export interface Links {
  /**
   * Creates a link to a rendition. @throws {AppError} `image_not_found`, `unknown_preset`, `invalid_request` if the preset lacks
   * the format or density.
   */
  toRendition(
    principal: Principal,
    imageRef: ImageRef,
    rendition: LinkedRendition,
    expiresInSeconds: number,
  ): Promise<RenditionLink>;
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
  readonly signedPaths: Pick<SignedPaths, 'sign'>;
  /** Current time in milliseconds since 1970. */
  readonly now?: () => number;
}

/** Form of a link. The signature is last, so that it covers everything before it. */
const linkPattern = new RegExp(
  `^(/.*?)[?]${parameters.expires}=(\\d{1,12})&${parameters.key}=([0-9a-f]{8})&${parameters.tenant}=(\\d{1,15})&${parameters.signature}=([A-Za-z0-9_-]{43})$`,
);

/** @see Links */
export function makeLinks({ images, presets, ring, signedPaths, now = Date.now }: Dependencies): Links {
  /** @param picture the part of the path after the image */
  async function create(
    principal: Principal,
    imageRef: ImageRef,
    picture: string,
    expiresInSeconds: number,
  ): Promise<Link & { readonly uuid: string; readonly expires: number }> {
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
      if (!hasSignature(url)) return undefined;
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

/** Whether a URL has a signature in any spelling, such as with percent-encoded letters. */
function hasSignature(url: string): boolean {
  const separator = url.indexOf('?');
  return separator >= 0 && new URLSearchParams(url.slice(separator + 1)).has(parameters.signature);
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
      `The preset "${name}" has no density ${density}; its densities are ${densities.join(', ')}.`,
    );
}
