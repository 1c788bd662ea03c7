import type { Config } from '../../config.ts';
import type { ForgetQueries } from '../../db/forgetting.ts';
import type { Logger } from '../../model/logger.ts';

interface Dependencies {
  readonly forgetting: ForgetQueries;
  readonly retention: Config['retention'];
  readonly logger: Logger;
}

/** Removes expired rows: finished jobs, imports and their images without a picture, and empty tenants. */
export interface ForgetRows {
  jobs(): Promise<void>;
  imports(): Promise<void>;
  tenants(): Promise<void>;
}

/** @see ForgetRows */
export function makeForgetRows({ forgetting, retention, logger }: Dependencies): ForgetRows {
  const report = (removed: number, what: string, days: number) => {
    if (removed > 0) logger.info({ removed }, `${removed} ${what} were removed after ${days} days`);
  };
  return {
    async jobs() {
      const { completedJobDays, failedJobDays } = retention;
      report(await forgetting.jobs('completed', completedJobDays), 'completed jobs', completedJobDays);
      report(await forgetting.jobs('failed', failedJobDays), 'failed jobs', failedJobDays);
    },
    async imports() {
      const { importDays } = retention;
      report(await forgetting.imports(importDays), 'imports', importDays);
      report(await forgetting.imagesWithoutContent(importDays), 'images without a picture', importDays);
    },
    async tenants() {
      const { emptyTenantDays } = retention;
      report(await forgetting.tenants(emptyTenantDays), 'tenants without images', emptyTenantDays);
    },
  };
}
