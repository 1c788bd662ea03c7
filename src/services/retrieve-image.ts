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
import type { ByteRange, Storage } from '../storage/storage.ts';
import { makeRedirectToStorage, type Redirect } from './redirect-to-storage.ts';
import { makeRemakeRendition } from './remake-rendition.ts';
import type { CachedRendition, RenditionCache } from './rendition-cache.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find' | 'findBare' | 'markDamaged' | 'clearDamaged'>;
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
  readonly storage: Storage;
  readonly cache: RenditionCache;
  readonly presets: readonly Preset[];
  /** How long an address of the store works; `undefined`: files are given by this process. */
  readonly redirectSeconds?: number | undefined;
}

/** A rendition to send: from memory, by the store, or as a stream. */
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
  /** `undefined`: it is given by this process. */
  readonly redirect: Redirect | undefined;
}

/** Giving pictures back. */
export type RetrieveImage = ReturnType<typeof makeRetrieveImage>;

/** Giving pictures back: records, originals and renditions. */
export function makeRetrieveImage(deps: Dependencies) {
  const { images, storage, cache, presets } = deps;
  const remake = makeRemakeRendition(deps);
  const redirectTo = makeRedirectToStorage(storage.direct, deps.redirectSeconds);
  const presetNames = presets.map(({ name }) => name);

  async function find(principal: Principal, reference: ImageRef): Promise<ImageWithRenditions> {
    const image = await images.find(principal, reference);
    if (!image) throw notFound(reference);
    return image;
  }

  /** A rendition whose preset was taken out of the configuration is still given: its address may be in use. */
  async function findForPreset(
    principal: Principal,
    reference: ImageRef,
    preset: string,
  ): Promise<ImageWithRenditions> {
    const known = presetNames.includes(preset);
    const image = await images.find(principal, reference);
    if (image && (known || image.renditions.some((rendition) => rendition.preset === preset))) return image;
    if (known) throw notFound(reference);
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
    // A preset that is newer than the image: its recipe was unknown when the renditions were made.
    if (!rendition && image.status === 'completed') return remake(image, preset);
    if (!rendition) throw notReady(image, preset);
    // Whether the file is there is not looked at: that would cost as much as giving it.
    const redirect = redirectTo(rendition.storageKey);
    if (redirect) return { redirect };
    const etag = `"${rendition.contentHash.slice(0, 32)}"`;
    const read = async <T>(reading: Promise<T>): Promise<T> => {
      try {
        return await reading;
      } catch (error) {
        if (error instanceof FileMissing) return remake(image, preset);
        throw error;
      }
    };
    if (rendition.bytes > cache.maxFileBytes)
      return { rendition, etag, open: () => read(storage.read(rendition.storageKey)) };
    const body = await read(storage.readAll(rendition.storageKey));
    if (body.length !== rendition.bytes) await remake(image, preset);
    return { body, recipe: rendition.recipe, etag, imageId: image.id, tenantId: image.tenantId };
  }

  return {
    find,

    /** The rendition if it is in memory: the hot path, without a promise. `reference` as it stands in the address. */
    cached(principal: Principal, reference: string, preset: string): CachedRendition | undefined {
      const hit = cache.get(reference, preset);
      return hit && (principal.tenantId === null || principal.tenantId === hit.tenantId) ? hit : undefined;
    },

    async rendition(principal: Principal, reference: ImageRef, preset: string): Promise<RetrievedRendition> {
      const keep = cache.keeper();
      const found = await load(principal, reference, preset);
      if ('body' in found) keep(String('id' in reference ? reference.id : reference.uuid), preset, found);
      return found;
    },

    async original(principal: Principal, reference: ImageRef): Promise<RetrievedOriginal> {
      const image = await images.findBare(principal, reference);
      if (!image) throw notFound(reference);
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
      // Somebody brought it back.
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

/** The file was removed after it was looked at. */
function originalMissing(error: unknown): never {
  throw error instanceof FileMissing
    ? new AppError('original_missing', error.message, { cause: error })
    : error;
}

/** The answer for an image that is not there, or not for this caller: the two look alike. */
export function notFound(reference: ImageRef): AppError {
  return new AppError(
    'image_not_found',
    `There is no image ${'id' in reference ? reference.id : reference.uuid}.`,
  );
}

/** The refusal to show an image that has no original: not yet, or never. */
export function noOriginal(image: Image): AppError {
  const what = image.status === 'failed' ? 'no original' : 'no original yet';
  return new AppError('rendition_not_ready', `Image ${image.id} has ${what}: ${describeState(image)}`);
}

function notReady(image: Image, preset: string): AppError {
  return new AppError(
    'rendition_not_ready',
    `Image ${image.id} has no rendition "${preset}": ${describeState(image)}`,
  );
}

/** The end of a sentence that says why an image has less than was asked for, with its full stop. */
export function describeState({ status, error }: Pick<Image, 'status' | 'error'>): string {
  if (status !== 'failed') return `it is ${status}.`;
  return `its processing failed: ${(error ?? 'no reason is known').replace(/\.?$/, '.')}`;
}
