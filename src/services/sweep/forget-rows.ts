import type { ExpiredRowQueries } from '../../db/purge/expired-rows.ts';
import type { Logger } from '../../model/logger.ts';

/** Retention of rows that nothing needs any more, in days. */
export interface Retention {
  readonly completedJobDays: number;
  readonly failedJobDays: number;
  readonly importDays: number;
  readonly emptyTenantDays: number;
}

interface Dependencies {
  readonly expiredRows: ExpiredRowQueries;
  readonly retention: Retention;
  readonly logger: Logger;
}

/** Removes expired rows: finished jobs, imports with the images that never received a picture, and empty tenants. */
export interface ForgetRows {
  jobs(): Promise<void>;
  imports(): Promise<void>;
  tenants(): Promise<void>;
}

/** @see ForgetRows */
export function makeForgetRows({ expiredRows, retention, logger }: Dependencies): ForgetRows {
  const report = (forgotten: number, what: string, days: number) => {
    if (forgotten > 0) logger.info({ forgotten }, `${forgotten} ${what} were forgotten after ${days} days`);
  };
  return {
    async jobs() {
      const { completedJobDays, failedJobDays } = retention;
      report(await expiredRows.removeJobs('completed', completedJobDays), 'completed jobs', completedJobDays);
      report(await expiredRows.removeJobs('failed', failedJobDays), 'failed jobs', failedJobDays);
    },
    async imports() {
      const { importDays } = retention;
      report(await expiredRows.removeImports(importDays), 'imports', importDays);
      report(
        await expiredRows.removeImagesWithoutContent(importDays),
        'images without a picture',
        importDays,
      );
    },
    async tenants() {
      const { emptyTenantDays } = retention;
      report(await expiredRows.removeTenants(emptyTenantDays), 'tenants without images', emptyTenantDays);
    },
  };
}
