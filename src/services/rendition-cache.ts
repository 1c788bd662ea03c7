import { LRUCache } from 'lru-cache';
import type { Image } from '../model/image.ts';

/** A rendition in memory, ready to be sent. */
export interface CachedRendition {
  readonly body: Buffer;
  readonly recipe: string;
  /** Strong ETag with its quotes. */
  readonly etag: string;
  readonly imageId: number;
  readonly tenantId: number;
}

/** Renditions that are read often, in bounded memory. */
export interface RenditionCache {
  /** Largest file that is kept; larger ones are streamed. */
  readonly maxFileBytes: number;
  get(reference: string, preset: string): CachedRendition | undefined;
  /**
   * To be called before a rendition is looked up: the answered function keeps what was found, unless an image was
   * forgotten in the meantime. It would otherwise bring back what was just deleted.
   */
  keeper(): (reference: string, preset: string, rendition: CachedRendition) => void;
  /** Forgets every rendition of an image, under both of its names. */
  forget(image: Pick<Image, 'id' | 'uuid'>): void;
}

/**
 * An entry is believed for this long. In this process a deletion is seen at once by `forget`; one by another process is
 * seen after this time at the latest.
 */
const believedMs = 1_000;

/** @param maxBytes memory for all files together; `0` keeps none. */
export function makeRenditionCache(maxBytes: number, presets: readonly string[]): RenditionCache {
  const maxFileBytes = Math.floor(maxBytes / 8);
  const cache = maxBytes > 0 ? makeLru(maxBytes) : undefined;
  let forgotten = 0;
  return {
    maxFileBytes,
    get: (reference, preset) => cache?.get(`${reference}/${preset}`),
    keeper() {
      const before = forgotten;
      return (reference, preset, rendition) => {
        if (forgotten === before) cache?.set(`${reference}/${preset}`, rendition);
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
    ttl: believedMs,
  });
}
