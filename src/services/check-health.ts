import type { SweepQueries } from '../db/sweeping.ts';
import { asAppError } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import type { Storage } from '../storage/storage.ts';

/** Result of one check: `undefined` error means that it passed. */
export interface HealthCheck {
  readonly name: 'database' | 'storage';
  readonly error: string | undefined;
}

interface Parts {
  readonly sweeping: Pick<SweepQueries, 'isAlive'>;
  readonly storage: Pick<Storage, 'check'>;
  readonly logger: Logger;
}

/** Asks the database and the storage to do a small piece of real work. Never fails. */
export type CheckHealth = () => Promise<readonly HealthCheck[]>;

/** @see CheckHealth */
export function makeCheckHealth({ sweeping, storage, logger }: Parts): CheckHealth {
  async function check(name: HealthCheck['name'], work: () => Promise<void>): Promise<HealthCheck> {
    try {
      await work();
      return { name, error: undefined };
    } catch (error) {
      logger.error({ err: error }, `the ${name} is not healthy`);
      return { name, error: asAppError(error).message };
    }
  }
  return () => Promise.all([check('database', sweeping.isAlive), check('storage', storage.check)]);
}
