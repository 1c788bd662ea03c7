import type { VariantQueries } from '../../db/renditions/variants.ts';
import type { Logger } from '../../model/logger.ts';
import type { Rendition } from '../../model/rendition.ts';
import { runUnbound } from '../../tenant-scope.ts';

interface Dependencies {
  readonly variants: Pick<VariantQueries, 'noteServed'>;
  readonly logger: Logger;
}

/** Records when renditions made on request were last served, for eviction. Writes in batches, and each rendition once an hour. */
export interface ServedRenditions {
  add(rendition: Pick<Rendition, 'id' | 'isOnRequest'>): void;
  /** Writes what has not been written yet. Never rejects. */
  flush(): Promise<void>;
}

const hourMs = 3_600_000;

/** Delay between the first rendition of a batch and its write. */
const batchMs = 10_000;

/** Maximum number of renditions that are remembered as recorded in the current hour. Beyond it, they are recorded again. */
const maxNoted = 100_000;

/** @see ServedRenditions */
export function makeServedRenditions({ variants, logger }: Dependencies): ServedRenditions {
  const noted = new Set<number>();
  let batch: number[] = [];
  let hour = 0;
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const ids = batch;
    batch = [];
    if (ids.length === 0) return;
    try {
      // Unbound, because the batch contains renditions of several tenants.
      await runUnbound(() => variants.noteServed(ids));
    } catch (error) {
      for (const id of ids) noted.delete(id);
      logger.warn({ err: error }, 'failed to record which renditions were served');
    }
  }

  return {
    add({ id, isOnRequest }) {
      if (!isOnRequest) return;
      const currentHour = Math.floor(Date.now() / hourMs);
      if (currentHour !== hour || noted.size >= maxNoted) noted.clear();
      hour = currentHour;
      if (noted.has(id)) return;
      noted.add(id);
      batch.push(id);
      timer ??= setTimeout(() => void flush(), batchMs).unref();
    },
    flush,
  };
}
