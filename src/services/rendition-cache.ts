import { LRUCache } from 'lru-cache';
import type { Image } from '../model/image.ts';
import type { PresetsInForce } from './presets-in-force.ts';

/** A rendition in memory, ready to be sent. */
export interface CachedRendition {
  readonly body: Buffer;
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
  /** Returns a rendition if it is cached. @param idOrUuid the image's id or UUID, as in the request */
  get(idOrUuid: string, preset: string): CachedRendition | undefined;
  /**
   * Call this before loading a rendition. The returned function caches the loaded rendition. It does nothing if any
   * image has been evicted in the meantime, because the rendition may belong to an image that has just been deleted.
   */
  beginLoad(): (idOrUuid: string, preset: string, rendition: CachedRendition) => void;
  /** Evicts all renditions of an image, which may be cached under its id and its UUID. */
  evict(image: Pick<Image, 'id' | 'uuid'>): void;
}

/**
 * Lifetime of a cached rendition. It limits how long this process serves an image that another process has deleted.
 * Images that this process deletes are evicted immediately.
 */
const lifetimeMs = 1_000;

/**
 * Creates a rendition cache.
 * @param maxBytes maximum memory for all files combined; `0` disables the cache
 */
export function makeRenditionCache(maxBytes: number, presets: Pick<PresetsInForce, 'list'>): RenditionCache {
  const maxFileBytes = Math.floor(maxBytes / 8);
  const cache = maxBytes > 0 ? makeLru(maxBytes) : undefined;
  let evictionCount = 0;
  return {
    maxFileBytes,
    get: (idOrUuid, preset) => cache?.get(`${idOrUuid}/${preset}`),
    beginLoad() {
      const previousCount = evictionCount;
      return (idOrUuid, preset, rendition) => {
        if (evictionCount === previousCount) cache?.set(`${idOrUuid}/${preset}`, rendition);
      };
    },
    evict(image) {
      evictionCount++;
      for (const { name } of presets.list()) {
        cache?.delete(`${image.id}/${name}`);
        cache?.delete(`${image.uuid}/${name}`);
      }
    },
  };
}

/** Estimated memory per cache entry, excluding the file. */
const overheadBytes = 512;

function makeLru(maxBytes: number): LRUCache<string, CachedRendition> {
  return new LRUCache({
    maxSize: maxBytes,
    sizeCalculation: ({ body }) => body.length + overheadBytes,
    ttl: lifetimeMs,
  });
}
