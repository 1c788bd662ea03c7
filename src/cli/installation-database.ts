import { existsSync } from 'node:fs';
import { openDatabase } from '../app/open-back-ends.ts';
import type { Config } from '../config.ts';
import { lockDataFolder } from '../data-folder/lock.ts';
import { migrate } from '../db/engine/migrate.ts';
import { makeQueries, type Queries } from '../db/queries.ts';
import type { Logger } from '../model/logger.ts';
import { systemPrincipal } from '../model/principal.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { CommandError } from './server-connection.ts';
import { exitOnFailure } from './stop-signals.ts';

/** The database of this installation, opened for one command. */
export interface InstallationDatabase {
  readonly queries: Queries;
  readonly logger: Logger;
  close(): Promise<void>;
}

/** The operator of a machine has all rights on its installation. */
export const operator = { ...systemPrincipal, subject: 'operator on this machine' };

/**
 * Opens and migrates the database. With the embedded database, locks the data folder until it is closed, and does not create
 * a database: with a wrong `DATA_DIR`, the command would then work on an installation that no server uses.
 * @throws {CommandError} if there is no embedded database
 * @throws {DataFolderInUse}
 */
export async function openInstallationDatabase(config: Config): Promise<InstallationDatabase> {
  if (config.database.kind === 'embedded' && !existsSync(config.database.path))
    throw new CommandError(
      `There is no installation in ${config.dataDir}. Start the server first, or set DATA_DIR to the folder of an installation.`,
    );
  const lock = config.database.kind === 'embedded' ? lockDataFolder(config.dataDir) : undefined;
  try {
    const logger = await makeLogger({ ...config.log, level: 'warn' });
    const database = await openDatabase(config, logger, exitOnFailure);
    await migrate(database);
    return {
      queries: makeQueries(database),
      logger,
      async close() {
        await database.close();
        lock?.release();
      },
    };
  } catch (error) {
    lock?.release();
    throw error;
  }
}
