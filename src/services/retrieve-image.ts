import type { Readable } from 'node:stream';
import type { ImageQueries } from '../db/images/images.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { Image, ImageRef, ImageWithRenditions } from '../model/image.ts';
import { listedVariant, type Preset } from '../model/preset.ts';
import type { RenditionFormat } from '../model/preset.ts';
import type { Principal } from '../model/principal.ts';
import type { Rendition, VariantName } from '../model/rendition.ts';
import type { ByteRange, DirectAccess, ReadUrlOptions, Storage } from '../storage/storage.ts';
import type { LoadRendition } from './delivery/load-rendition.ts';
import type { OpenRendition } from './delivery/open-rendition.ts';
import type { ServedRenditions } from './delivery/served-renditions.ts';
import { jpegVariant } from './delivery/variants.ts';
import { imageNotFound, noOriginal } from './image-errors.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import { type CachedRendition, cacheKey, type RenditionCache } from './rendition-cache.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'findWithoutRenditions' | 'markDamaged' | 'clearDamaged'>;
  readonly storage: Pick<Storage, 'stat' | 'read' | 'directAccess'>;
  readonly cache: RenditionCache;
  readonly presets: Pick<PresetsInForce, 'list' | 'find'>;
  readonly loadRendition: LoadRendition;
  readonly openRendition: OpenRendition;
  readonly served: Pick<ServedRenditions, 'add'>;
  /** How long presigned URLs are valid; `undefined` if this process sends the files itself. */
  readonly redirectSeconds?: number | undefined;
}

/** A presigned URL at which the object store serves a file. */
export interface PresignedUrl {
  readonly url: string;
  /** How long the redirect to the URL may be cached. After this time, the URL remains valid for at least as long again. */
  readonly maxAgeSeconds: number;
}

/** A redirect to a presigned URL at which the object store serves the file. */
export interface Redirect {
  /**
   * Creates the URL, without checking that the file exists.
   * @param secondsLeft how long the caller may still read the file, if that is limited; the URL is not valid for longer
   */
  createUrl(
    options: Pick<ReadUrlOptions, 'method' | 'contentType' | 'contentDisposition'>,
    secondsLeft: number | null,
  ): Promise<PresignedUrl>;
}

/** A rendition to send: from memory, as a redirect, or as a stream. */
export type RetrievedRendition =
  | CachedRendition
  | { readonly redirect: Redirect; readonly format: RenditionFormat }
  | { readonly rendition: Rendition; readonly etag: string; readonly open: () => Promise<Readable> };

/** An original to send. */
export interface RetrievedOriginal {
  readonly image: Image;
  readonly bytes: number;
  readonly etag: string;
  readonly open: (range?: ByteRange) => Promise<Readable>;
  /** Set if the store sends the file instead of this process. */
  readonly redirect: Redirect | undefined;
}

/** Retrieves images, renditions and originals. */
export interface RetrieveImage {
  /** Returns an image. @throws {AppError} `image_not_found`. */
  find(principal: Principal, image: ImageRef): Promise<ImageWithRenditions>;
  /**
   * Returns the rendition if it is in memory. This method is synchronous for speed, because most reads are served from
   * memory.
   * @param idOrUuid the image's id or UUID, as in the URL
   * @param format by default, the first format of the preset
   */
  cached(
    principal: Principal,
    idOrUuid: string,
    preset: string,
    format?: 'jpeg',
  ): CachedRendition | undefined;
  /**
   * Loads a rendition, and caches it if it is small. Makes it if it does not exist, is missing from storage, or was made
   * with other options.
   * @param format by default, the first format of the preset
   * @param signal aborts the wait for a rendition that is being made
   * @throws {AppError} `image_not_found`, `unknown_preset`, `rendition_not_ready`, `overloaded`, `unavailable`; why the
   *   picture cannot be decoded.
   */
  rendition(
    principal: Principal,
    image: ImageRef,
    preset: string,
    format?: 'jpeg',
    signal?: AbortSignal,
  ): Promise<RetrievedRendition>;
  /**
   * Returns the original if it exists and has the recorded size. Otherwise, marks the image as damaged.
   * @throws {AppError} `image_not_found`, `rendition_not_ready`, `original_missing`.
   */
  original(principal: Principal, image: ImageRef): Promise<RetrievedOriginal>;
}

/** @see RetrieveImage */
export function makeRetrieveImage(deps: Dependencies): RetrieveImage {
  const { images, storage, cache, presets, loadRendition, openRendition, served } = deps;
  const redirectTo = makeRedirectTo(storage.directAccess, deps.redirectSeconds);

  async function find(principal: Principal, imageRef: ImageRef): Promise<ImageWithRenditions> {
    const image = await images.find(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    return image;
  }

  /** Returns the name of a preset's rendition that records list, or of its JPEG. */
  function nameRendition(presetName: string, format?: 'jpeg'): VariantName {
    const preset = presets.find(presetName);
    return {
      preset: presetName,
      format: format ?? (preset ? listedVariant(preset).format : 'jpeg'),
      density: 1,
    };
  }

  /**
   * Returns the name of a rendition whose preset no longer exists.
   * @throws {AppError} `unknown_preset` if the image has none.
   */
  async function findFormerFormat(
    principal: Principal,
    imageRef: ImageRef,
    name: VariantName,
  ): Promise<VariantName> {
    const image = await images.find(principal, imageRef);
    const rendition = image?.renditions.find(({ preset, isListed }) => preset === name.preset && isListed);
    if (rendition) return { ...name, format: rendition.format };
    const presetNames = presets.list().map((preset) => preset.name);
    throw new AppError(
      'unknown_preset',
      `There is no preset ${JSON.stringify(name.preset.slice(0, 40))}; the presets are ${presetNames.join(', ')}.`,
    );
  }

  return {
    find,

    cached(principal, idOrUuid, preset, format) {
      const cachedRendition = cache.get(cacheKey(idOrUuid, nameRendition(preset, format)));
      const canSee = principal.tenantId === null || principal.tenantId === cachedRendition?.tenantId;
      return canSee ? cachedRendition : undefined;
    },

    async rendition(principal, imageRef, presetName, format, signal) {
      const cacheRendition = cache.beginLoad();
      const wantedName = nameRendition(presetName, format);
      const name = presets.find(presetName)
        ? wantedName
        : await findFormerFormat(principal, imageRef, wantedName);
      const choose = (preset: Preset | undefined) =>
        preset && (format === 'jpeg' ? jpegVariant(preset) : listedVariant(preset));
      const found = await loadRendition(principal, imageRef, { name, choose }, signal);
      served.add(found.rendition);
      // There is no check that the file exists, because the check would take as long as sending the file.
      const redirect = redirectTo(found.rendition.storageKey);
      if (redirect) return { redirect, format: found.rendition.format };
      const opened = await openRendition(found.image, found.rendition, found.repair);
      if ('body' in opened && found.isCurrent)
        cacheRendition(cacheKey('id' in imageRef ? imageRef.id : imageRef.uuid, name), opened);
      return opened;
    },

    async original(principal, imageRef) {
      const image = await images.findWithoutRenditions(principal, imageRef);
      if (!image) throw imageNotFound(imageRef);
      const { originalKey: key, contentHash } = image;
      if (!key || !contentHash) throw noOriginal(image);
      const storedFile = await storage.stat(key);
      if (storedFile?.bytes !== image.originalBytes) {
        await images.markDamaged(image.id);
        const problem = storedFile ? 'has changed in size' : 'is missing from storage';
        throw new AppError(
          'original_missing',
          `The original of image ${image.id} ${problem}; the image has been marked as damaged.`,
        );
      }
      // The file has since been restored.
      if (image.damagedAt) await images.clearDamaged(image.id);
      return {
        image,
        bytes: storedFile.bytes,
        etag: `"${contentHash.slice(0, 32)}"`,
        open: (range) => storage.read(key, range).catch(throwOriginalMissing),
        redirect: redirectTo(key),
      };
    },
  };
}

/** Converts the error for an original that was removed after it was checked. */
function throwOriginalMissing(error: unknown): never {
  throw error instanceof FileMissing
    ? new AppError('original_missing', error.message, { cause: error })
    : error;
}

/**
 * Returns a function that creates the redirect to a stored file, or returns `undefined` if this process sends the
 * files.
 */
function makeRedirectTo(
  directAccess: DirectAccess | undefined,
  seconds: number | undefined,
): (key: string) => Redirect | undefined {
  if (!directAccess || seconds === undefined) return () => undefined;
  return (key) => ({
    async createUrl(options, secondsLeft) {
      // A presigned URL is valid for a second or more.
      const validSeconds = Math.max(1, Math.min(seconds, secondsLeft ?? seconds));
      const maxAgeSeconds = Math.floor(validSeconds / 2);
      const cacheControl = `private, max-age=${maxAgeSeconds}`;
      const url = await directAccess.presignRead(key, { ...options, seconds: validSeconds, cacheControl });
      return { url, maxAgeSeconds };
    },
  });
}
