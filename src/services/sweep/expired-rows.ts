import type { Config } from '../../config.ts';
import type { ExpiredRowQueries } from '../../db/purge/expired-rows.ts';
import type { Logger } from '../../model/logger.ts';

interface Dependencies {
  readonly expiredRows: ExpiredRowQueries;
  readonly retention: Config['retention'];
  readonly logger: Logger;
}

/** Removes expired rows: finished jobs, imports, imported images without an original, and empty tenants. */
export interface ExpiredRowSweeps {
  jobs(): Promise<void>;
  imports(): Promise<void>;
  tenants(): Promise<void>;
}

/** @see ExpiredRowSweeps */
export function makeExpiredRowSweeps({ expiredRows, retention, logger }: Dependencies): ExpiredRowSweeps {
  const report = (removed: number, rowDescription: string, days: number) => {
    if (removed > 0)
      logger.info(
        { removed },
        `removed expired ${rowDescription}: ${removed} (retention: ${days} ${days === 1 ? 'day' : 'days'})`,
      );
  };
  return {
    async jobs() {
      report(await expiredRows.removeIdempotentRequests(), 'idempotent requests', 1);
      const { completedJobDays, failedJobDays } = retention;
      report(await expiredRows.removeJobs('completed', completedJobDays), 'completed jobs', completedJobDays);
      report(await expiredRows.removeJobs('failed', failedJobDays), 'failed jobs', failedJobDays);
    },
    async imports() {
      const { importDays } = retention;
      report(await expiredRows.removeImports(importDays), 'imports', importDays);
      report(
        await expiredRows.removeImagesWithoutContent(importDays),
        'images without an original',
        importDays,
      );
    },
    async tenants() {
      const { emptyTenantDays } = retention;
      report(await expiredRows.removeTenants(emptyTenantDays), 'tenants without images', emptyTenantDays);
    },
  };
}
