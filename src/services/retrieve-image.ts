import type { Readable } from 'node:stream';
import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { Image, ImageRef, ImageWithRenditions } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import type { Principal } from '../model/principal.ts';
import type { Rendition } from '../model/rendition.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { ByteRange, DirectAccess, ReadUrlOptions, Storage } from '../storage/storage.ts';
import { keepTenant } from '../tenant-scope.ts';
import { imageNotFound, noOriginal, noRendition } from './image-errors.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import { makeRequeueAndThrow } from './remake-rendition.ts';
import type { CachedRendition, RenditionCache } from './rendition-cache.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'findWithoutRenditions' | 'markDamaged' | 'clearDamaged'>;
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
  readonly storage: Pick<Storage, 'stat' | 'read' | 'readAll' | 'directAccess'>;
  readonly cache: RenditionCache;
  readonly presets: Pick<PresetsInForce, 'list' | 'find'>;
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
  | { readonly redirect: Redirect }
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
   */
  cached(principal: Principal, idOrUuid: string, preset: string): CachedRendition | undefined;
  /**
   * Loads a rendition, and caches it if it is small. Requeues the image if the rendition is missing from storage.
   * @throws {AppError} `image_not_found`, `unknown_preset`, `rendition_not_ready`.
   */
  rendition(principal: Principal, image: ImageRef, preset: string): Promise<RetrievedRendition>;
  /**
   * Returns the original if it exists and has the recorded size. Otherwise, marks the image as damaged.
   * @throws {AppError} `image_not_found`, `rendition_not_ready`, `original_missing`.
   */
  original(principal: Principal, image: ImageRef): Promise<RetrievedOriginal>;
}

/** @see RetrieveImage */
export function makeRetrieveImage(deps: Dependencies): RetrieveImage {
  const { images, storage, cache, presets } = deps;
  const requeueAndThrow = makeRequeueAndThrow(deps);
  const redirectTo = makeRedirectTo(storage.directAccess, deps.redirectSeconds);

  async function find(principal: Principal, imageRef: ImageRef): Promise<ImageWithRenditions> {
    const image = await images.find(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    return image;
  }

  /**
   * Returns the image. The preset must be configured, unless the image already has a rendition for it. The rendition's
   * URL may still be in use after the preset has been removed from the configuration.
   */
  async function findForPreset(
    principal: Principal,
    imageRef: ImageRef,
    preset: string,
  ): Promise<ImageWithRenditions> {
    const isConfigured = presets.find(preset) !== undefined;
    const image = await images.find(principal, imageRef);
    if (image && (isConfigured || image.renditions.some((rendition) => rendition.preset === preset)))
      return image;
    if (isConfigured) throw imageNotFound(imageRef);
    throw new AppError(
      'unknown_preset',
      `There is no preset ${JSON.stringify(preset.slice(0, 40))}; the presets are ${presets
        .list()
        .map(({ name }) => name)
        .join(', ')}.`,
    );
  }

  async function load(principal: Principal, imageRef: ImageRef, preset: string): Promise<RetrievedRendition> {
    const image = await findForPreset(principal, imageRef, preset);
    const rendition = image.renditions.find((candidate) => candidate.preset === preset);
    // The preset must have been added after this image's renditions were created.
    if (!rendition && image.status === 'completed') return requeueAndThrow(image, preset);
    if (!rendition) throw noRendition(image, preset);
    // There is no check that the file exists, because the check would take as long as sending the file.
    const redirect = redirectTo(rendition.storageKey);
    if (redirect) return { redirect };
    const etag = `"${rendition.contentHash.slice(0, 32)}"`;
    const requeueIfMissing = (error: unknown): Promise<never> => {
      if (error instanceof FileMissing) return requeueAndThrow(image, preset);
      throw error;
    };
    if (rendition.bytes > cache.maxFileBytes)
      return {
        rendition,
        etag,
        open: keepTenant(() => storage.read(rendition.storageKey).catch(requeueIfMissing)),
      };
    const body = await storage.readAll(rendition.storageKey).catch(requeueIfMissing);
    if (body.length !== rendition.bytes) await requeueAndThrow(image, preset);
    return { body, recipe: rendition.recipe, etag, imageId: image.id, tenantId: image.tenantId };
  }

  return {
    find,

    cached(principal, idOrUuid, preset) {
      const cachedRendition = cache.get(idOrUuid, preset);
      const canSee = principal.tenantId === null || principal.tenantId === cachedRendition?.tenantId;
      return canSee ? cachedRendition : undefined;
    },

    async rendition(principal, imageRef, preset) {
      const cacheRendition = cache.beginLoad();
      const loadedRendition = await load(principal, imageRef, preset);
      if ('body' in loadedRendition)
        cacheRendition(String('id' in imageRef ? imageRef.id : imageRef.uuid), preset, loadedRendition);
      return loadedRendition;
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
