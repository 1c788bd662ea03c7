import type { RecountQueries, UsageDrift } from '../../db/usage/recounting.ts';
import type { Logger } from '../../model/logger.ts';

interface Dependencies {
  readonly recounting: RecountQueries;
  readonly logger: Logger;
}

/**
 * Recounts the usage of every tenant from the rows. Corrects and reports counters that differ, which is always a bug.
 * Returns the number of wrong counters.
 */
export type CorrectUsage = () => Promise<number>;

const pageSize = 500;

/** @see CorrectUsage */
export function makeCorrectUsage({ recounting, logger }: Dependencies): CorrectUsage {
  return async () => {
    let corrected = 0;
    let last = 0;
    for (;;) {
      const tenants = await recounting.listTenantsAfter(last, pageSize);
      for (const { id, name } of tenants) {
        last = id;
        // Owners first: the bytes of a file are counted for its owner.
        const images = await recounting.repairOwners(id);
        if (images > 0)
          logger.error(
            { tenant: name, images },
            `${images} images of the tenant ${name} used a file that did not have exactly one owner; repaired`,
          );
        for (const drift of await recounting.correctUsage(id)) {
          corrected++;
          report(logger, name, drift);
        }
      }
      if (tenants.length < pageSize) return corrected;
    }
  };
}

function report(logger: Logger, tenant: string, { kind, preset, counted, real }: UsageDrift): void {
  const what = kind === 'image' ? 'images' : `renditions "${preset}"`;
  logger.error(
    { tenant, kind, preset, counted, real },
    `the usage of the tenant ${tenant} was ${counted.count} ${what} with ${counted.bytes} bytes instead of ${real.count} with ${real.bytes}; corrected`,
  );
}
