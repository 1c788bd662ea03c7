import { openDatabase } from '../app/open-engines.ts';
import type { Config } from '../config.ts';
import { findHolder, lockDataFolder } from '../data-folder/lock.ts';
import { makePrivate } from '../data-folder/private-folder.ts';
import { migrate } from '../db/engine/migrate.ts';
import { makeLogger } from '../telemetry/logger.ts';
import type { Output } from './output.ts';
import { exitOnFailure } from './stop-signals.ts';

/** `vitrine migrate`: brings the schema to the newest version. A running server has done so when it started. */
export async function migrateDatabase(config: Config, output: Output): Promise<number> {
  if (config.database.kind === 'postgres') return migrateNow(config, output);
  const holder = findHolder(config.dataDir);
  if (holder) {
    output.write(
      `The server (process ${holder.pid}) brought the schema to its newest version when it started.\n`,
    );
    return 0;
  }
  const lock = lockDataFolder(config.dataDir);
  try {
    return await migrateNow(config, output);
  } finally {
    lock.release();
  }
}

async function migrateNow(config: Config, output: Output): Promise<number> {
  const database = await openDatabase(
    config,
    await makeLogger({ ...config.log, level: 'warn' }),
    exitOnFailure,
  );
  try {
    const { version, applied, vectors } = await migrate(database);
    if (config.database.kind === 'embedded') makePrivate(config.database.path);
    const what = applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing was to be done';
    output.write(`Schema version ${version}: ${what}.\n`);
    if (!vectors.isAvailable) output.write(`Similar images cannot be searched: ${vectors.reason}.\n`);
    return 0;
  } finally {
    await database.close();
  }
}
