import { openDatabase } from '../app/open-back-ends.ts';
import type { Config } from '../config.ts';
import { findLockHolder, lockDataFolder } from '../data-folder/lock.ts';
import { makePrivate } from '../data-folder/private-folder.ts';
import { migrate } from '../db/engine/migrate.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { exitOnFailure } from './stop-signals.ts';
import type { Output } from './terminal.ts';

/** Runs `vitrine migrate`: migrates the database to the latest schema, unless a running server has already done so. */
export async function migrateDatabase(config: Config, output: Output): Promise<number> {
  if (config.database.kind === 'postgres') return migrateNow(config, output);
  const holder = findLockHolder(config.dataDir);
  if (holder) {
    output.write(`The running server (process ${holder.pid}) has already migrated the schema.\n`);
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
    const result = applied.length > 0 ? `applied ${applied.join(', ')}` : 'already up to date';
    output.write(`Schema version ${version}: ${result}.\n`);
    if (!vectors.isAvailable) output.write(`Similarity search is unavailable: ${vectors.reason}.\n`);
    return 0;
  } finally {
    await database.close();
  }
}
