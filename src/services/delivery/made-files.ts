import { LRUCache } from 'lru-cache';

/** Files that this process has just made, so that a request that is waiting for one need not read it back from storage. */
export interface MadeFiles {
  /** @param sha256 SHA-256 of the file, hexadecimal */
  add(sha256: string, bytes: Buffer): void;
  /** Returns the bytes of the file with this hash if it was made within the last second. */
  get(sha256: string): Buffer | undefined;
}

/** Maximum total size. Larger than a burst of renditions that are being recorded. */
const maxBytes = 8 * 2 ** 20;
const lifetimeMs = 1_000;

/** @param maxFileBytes larger files are sent as streams, so they are not kept */
export function makeMadeFiles(maxFileBytes: number): MadeFiles {
  const files = new LRUCache<string, Buffer>({
    maxSize: maxBytes,
    sizeCalculation: ({ length }) => Math.max(1, length),
    ttl: lifetimeMs,
    ttlAutopurge: true,
  });
  return {
    add(sha256, bytes) {
      if (bytes.length <= maxFileBytes) files.set(sha256, bytes);
    },
    get: (sha256) => files.get(sha256),
  };
}
