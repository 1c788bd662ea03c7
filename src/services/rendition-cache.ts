import { LRUCache } from 'lru-cache';
import type { Image } from '../model/image.ts';
import type { RenditionFormat } from '../model/preset.ts';
import type { VariantName } from '../model/rendition.ts';

/** A rendition in memory, ready to be sent. */
export interface CachedRendition {
  readonly body: Buffer;
  readonly format: RenditionFormat;
  /** Identifies the version of the rendition. */
  readonly recipe: string;
  /** Strong ETag, including its quotes. */
  readonly etag: string;
  readonly imageId: number;
  readonly tenantId: number;
}

/** Caches small renditions in a limited amount of memory and evicts the least recently used renditions. */
export interface RenditionCache {
  /** Maximum size of a cached file. */
  readonly maxFileBytes: number;
  /** Returns a rendition if it is cached. @param key created by `cacheKey` */
  get(key: string): CachedRendition | undefined;
  /**
   * Call this before loading a rendition. The returned function caches the loaded rendition. It does nothing if any
   * image has been evicted in the meantime, because the rendition may belong to an image that has just been deleted.
   */
  beginLoad(): (key: string, rendition: CachedRendition) => void;
  /** Evicts all renditions of an image. */
  evict(image: Pick<Image, 'id'>): void;
}

/**
 * Returns the key of a rendition.
 * @param idOrUuid the image's id or UUID, as in the request
 * @param recipe set if the request names a recipe that may no longer be in use
 */
export function cacheKey(
  idOrUuid: string | number,
  { preset, density, format }: VariantName,
  recipe?: string,
): string {
  const key = `${idOrUuid}/${preset}.${density}.${format}`;
  return recipe === undefined ? key : `${key}.${recipe}`;
}

/**
 * Lifetime of a cached rendition. It limits how long this process serves an image that another process has deleted, or a
 * rendition that another process has replaced. Images that this process deletes are evicted immediately.
 */
const lifetimeMs = 1_000;

/**
 * Creates a rendition cache.
 * @param maxBytes maximum memory for all files combined; `0` disables the cache
 */
export function makeRenditionCache(maxBytes: number): RenditionCache {
  const maxFileBytes = Math.floor(maxBytes / 8);
  const keysByImage = new Map<number, Set<string>>();
  const cache = maxBytes > 0 ? makeLru(maxBytes, forget) : undefined;
  let evictionCount = 0;

  function forget({ imageId }: CachedRendition, key: string): void {
    const keys = keysByImage.get(imageId);
    keys?.delete(key);
    if (keys?.size === 0) keysByImage.delete(imageId);
  }

  function add(key: string, rendition: CachedRendition): void {
    if (!cache?.set(key, rendition).has(key)) return;
    const keys = keysByImage.get(rendition.imageId) ?? new Set();
    keysByImage.set(rendition.imageId, keys.add(key));
  }

  return {
    maxFileBytes,
    get: (key) => cache?.get(key),
    beginLoad() {
      const previousCount = evictionCount;
      return (key, rendition) => {
        if (evictionCount === previousCount) add(key, rendition);
      };
    },
    evict({ id }) {
      evictionCount++;
      // A copy, because each deletion removes the key from the set.
      for (const key of Array.from(keysByImage.get(id) ?? [])) cache?.delete(key);
    },
  };
}

/** Estimated memory per cache entry, excluding the file. */
const overheadBytes = 512;

function makeLru(
  maxBytes: number,
  onRemoved: (rendition: CachedRendition, key: string) => void,
): LRUCache<string, CachedRendition> {
  return new LRUCache({
    maxSize: maxBytes,
    sizeCalculation: ({ body }) => body.length + overheadBytes,
    ttl: lifetimeMs,
    dispose: onRemoved,
  });
}
