import { LRUCache } from 'lru-cache';
import type { Image } from '../model/image.ts';

/** A rendition in memory, ready to be sent. */
export interface CachedRendition {
  readonly body: Buffer;
  readonly recipe: string;
  /** Strong ETag, including its quotes. */
  readonly etag: string;
  readonly imageId: number;
  readonly tenantId: number;
}

/** Caches small renditions in a bounded amount of memory. The least recently used are evicted. */
export interface RenditionCache {
  /** Larger files are not cached. */
  readonly maxFileBytes: number;
  /** @param image the id or UUID, as in the request */
  get(image: string, preset: string): CachedRendition | undefined;
  /**
   * Call this before loading a rendition. The returned function caches it, unless any image was forgotten since: the
   * cache would otherwise bring back an image that was just deleted.
   */
  keeper(): (image: string, preset: string, rendition: CachedRendition) => void;
  /** Evicts every rendition of an image, under its id and its UUID. */
  forget(image: Pick<Image, 'id' | 'uuid'>): void;
}

/** Bounds how long this process serves an image that another process has deleted. Its own deletions call `forget`. */
const lifetimeMs = 1_000;

/** @param maxBytes memory for all files together; `0` disables the cache */
export function makeRenditionCache(maxBytes: number, presets: readonly string[]): RenditionCache {
  const maxFileBytes = Math.floor(maxBytes / 8);
  const cache = maxBytes > 0 ? makeLru(maxBytes) : undefined;
  let forgotten = 0;
  return {
    maxFileBytes,
    get: (image, preset) => cache?.get(`${image}/${preset}`),
    keeper() {
      const forgottenBefore = forgotten;
      return (image, preset, rendition) => {
        if (forgotten === forgottenBefore) cache?.set(`${image}/${preset}`, rendition);
      };
    },
    forget(image) {
      forgotten++;
      for (const preset of presets) {
        cache?.delete(`${image.id}/${preset}`);
        cache?.delete(`${image.uuid}/${preset}`);
      }
    },
  };
}

function makeLru(maxBytes: number): LRUCache<string, CachedRendition> {
  return new LRUCache({
    maxSize: maxBytes,
    sizeCalculation: ({ body }) => body.length + 512,
    ttl: lifetimeMs,
  });
}
