import type { Readable } from 'node:stream';
import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { Image, ImageRef, ImageWithRenditions } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import type { Preset } from '../model/preset.ts';
import type { Principal } from '../model/principal.ts';
import type { Rendition } from '../model/rendition.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { ByteRange, DirectAccess, ReadUrlOptions, Storage } from '../storage/storage.ts';
import { imageNotFound, noOriginal, noRendition } from './image-errors.ts';
import { makeRemakeRendition } from './remake-rendition.ts';
import type { CachedRendition, RenditionCache } from './rendition-cache.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'findWithoutRenditions' | 'markDamaged' | 'clearDamaged'>;
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
  readonly storage: Pick<Storage, 'stat' | 'read' | 'readAll' | 'direct'>;
  readonly cache: RenditionCache;
  readonly presets: readonly Preset[];
  /** How long presigned addresses of the store are valid. `undefined`: this process sends the files. */
  readonly redirectSeconds?: number | undefined;
}

/** A file that the store serves itself, at a presigned address. */
export interface Redirect {
  /** How long the redirect may be cached. Its address is valid for at least as long again. */
  readonly maxAgeSeconds: number;
  /** Makes the address, without checking that the file exists. */
  address(options: Pick<ReadUrlOptions, 'method' | 'contentType' | 'contentDisposition'>): Promise<string>;
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
  /** Set if the store sends the file. */
  readonly redirect: Redirect | undefined;
}

/** Retrieves images, renditions and originals. */
export interface RetrieveImage {
  /** @throws {AppError} `image_not_found`. */
  find(principal: Principal, image: ImageRef): Promise<ImageWithRenditions>;
  /**
   * Returns the rendition if it is in memory. Synchronous, because this is the most frequent read.
   * @param image the id or UUID, spelled as in the address
   */
  cached(principal: Principal, image: string, preset: string): CachedRendition | undefined;
  /**
   * Loads a rendition, and caches it if it is small. One that is missing in storage is made again.
   * @throws {AppError} `image_not_found`, `unknown_preset`, `rendition_not_ready`.
   */
  rendition(principal: Principal, image: ImageRef, preset: string): Promise<RetrievedRendition>;
  /**
   * Checks that the original is whole, and marks the image as damaged if it is not.
   * @throws {AppError} `image_not_found`, `rendition_not_ready`, `original_missing`.
   */
  original(principal: Principal, image: ImageRef): Promise<RetrievedOriginal>;
}

/** @see RetrieveImage */
export function makeRetrieveImage(deps: Dependencies): RetrieveImage {
  const { images, storage, cache, presets } = deps;
  const remake = makeRemakeRendition(deps);
  const redirectTo = makeRedirects(storage.direct, deps.redirectSeconds);
  const presetNames = presets.map(({ name }) => name);

  async function find(principal: Principal, reference: ImageRef): Promise<ImageWithRenditions> {
    const image = await images.find(principal, reference);
    if (!image) throw imageNotFound(reference);
    return image;
  }

  /** Also finds renditions of presets that were removed from the configuration: their addresses may be in use. */
  async function findForPreset(
    principal: Principal,
    reference: ImageRef,
    preset: string,
  ): Promise<ImageWithRenditions> {
    const isConfigured = presetNames.includes(preset);
    const image = await images.find(principal, reference);
    if (image && (isConfigured || image.renditions.some((rendition) => rendition.preset === preset)))
      return image;
    if (isConfigured) throw imageNotFound(reference);
    throw new AppError(
      'unknown_preset',
      `There is no preset ${JSON.stringify(preset.slice(0, 40))}; the presets are ${presetNames.join(', ')}.`,
    );
  }

  async function load(
    principal: Principal,
    reference: ImageRef,
    preset: string,
  ): Promise<RetrievedRendition> {
    const image = await findForPreset(principal, reference, preset);
    const rendition = image.renditions.find((candidate) => candidate.preset === preset);
    // The preset was added after the renditions of this image were made.
    if (!rendition && image.status === 'completed') return remake(image, preset);
    if (!rendition) throw noRendition(image, preset);
    // Checking that the file exists would cost as much as sending it.
    const redirect = redirectTo(rendition.storageKey);
    if (redirect) return { redirect };
    const etag = `"${rendition.contentHash.slice(0, 32)}"`;
    const remakeIfMissing = (error: unknown): Promise<never> => {
      if (error instanceof FileMissing) return remake(image, preset);
      throw error;
    };
    if (rendition.bytes > cache.maxFileBytes)
      return { rendition, etag, open: () => storage.read(rendition.storageKey).catch(remakeIfMissing) };
    const body = await storage.readAll(rendition.storageKey).catch(remakeIfMissing);
    if (body.length !== rendition.bytes) await remake(image, preset);
    return { body, recipe: rendition.recipe, etag, imageId: image.id, tenantId: image.tenantId };
  }

  return {
    find,

    cached(principal, reference, preset) {
      const hit = cache.get(reference, preset);
      return hit && (principal.tenantId === null || principal.tenantId === hit.tenantId) ? hit : undefined;
    },

    async rendition(principal, reference, preset) {
      const keep = cache.keeper();
      const loaded = await load(principal, reference, preset);
      if ('body' in loaded) keep(String('id' in reference ? reference.id : reference.uuid), preset, loaded);
      return loaded;
    },

    async original(principal, reference) {
      const image = await images.findWithoutRenditions(principal, reference);
      if (!image) throw imageNotFound(reference);
      const { originalKey: key, contentHash } = image;
      if (!key || !contentHash) throw noOriginal(image);
      const stored = await storage.stat(key);
      if (stored?.bytes !== image.originalBytes) {
        await images.markDamaged(image.id);
        const what = stored ? 'has another size than it had' : 'is missing from storage';
        throw new AppError(
          'original_missing',
          `The original of image ${image.id} ${what}; the image is marked as damaged.`,
        );
      }
      // The file was restored.
      if (image.damagedAt) await images.clearDamaged(image.id);
      return {
        image,
        bytes: stored.bytes,
        etag: `"${contentHash.slice(0, 32)}"`,
        open: (range) => storage.read(key, range).catch(originalMissing),
        redirect: redirectTo(key),
      };
    },
  };
}

/** The file was removed after it was checked. */
function originalMissing(error: unknown): never {
  throw error instanceof FileMissing
    ? new AppError('original_missing', error.message, { cause: error })
    : error;
}

/** Returns a function that makes the redirect to a stored file, or `undefined` if this process sends the files. */
function makeRedirects(
  direct: DirectAccess | undefined,
  seconds: number | undefined,
): (key: string) => Redirect | undefined {
  if (!direct || seconds === undefined) return () => undefined;
  const maxAgeSeconds = Math.floor(seconds / 2);
  const cacheControl = `private, max-age=${maxAgeSeconds}`;
  return (key) => ({
    maxAgeSeconds,
    address: (options) => direct.presignRead(key, { ...options, seconds, cacheControl }),
  });
}
