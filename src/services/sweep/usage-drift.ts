import type { RecountQueries, UsageDrift } from '../../db/usage/recounting.ts';
import type { Logger } from '../../model/logger.ts';

interface Dependencies {
  readonly recounting: RecountQueries;
  readonly logger: Logger;
}

/**
 * Recounts each tenant's usage from the rows. Corrects and logs counters that differ. A difference always indicates a
 * bug. Returns the number of counters corrected.
 */
export type CorrectUsage = () => Promise<number>;

/** Number of tenants per query. */
const pageSize = 500;

/** @see CorrectUsage */
export function makeCorrectUsage({ recounting, logger }: Dependencies): CorrectUsage {
  return async () => {
    let correctedCount = 0;
    let lastId = 0;
    for (;;) {
      const tenants = await recounting.listTenantsAfter(lastId, pageSize);
      for (const { id, name } of tenants) {
        lastId = id;
        // Owners are assigned first, because a file's bytes are counted for its owner.
        const repairedImages = await recounting.repairOwners(id);
        if (repairedImages > 0)
          logger.error(
            { tenant: name, images: repairedImages },
            `repaired the file owners of ${repairedImages} ${repairedImages === 1 ? 'image' : 'images'} of tenant ${name}: a shared file had no owner or several owners`,
          );
        for (const drift of await recounting.correctUsage(id)) {
          correctedCount++;
          report(logger, name, drift);
        }
      }
      if (tenants.length < pageSize) return correctedCount;
    }
  };
}

function report(
  logger: Logger,
  tenant: string,
  { kind, preset, format, counterValue, actualValue }: UsageDrift,
): void {
  const items = {
    image: 'images',
    rendition: `"${preset}" renditions (${format})`,
    variant: `further variants of "${preset}" (${format})`,
    deleted: 'deleted images',
  }[kind];
  logger.error(
    { tenant, kind, preset, format, counterValue, actualValue },
    `corrected the usage of tenant ${tenant}: ${items} ${counterValue.count} → ${actualValue.count}, bytes ${counterValue.bytes} → ${actualValue.bytes}`,
  );
}
