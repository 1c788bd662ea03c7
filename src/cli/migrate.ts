import { join } from 'node:path';
import type { Config } from '../config.ts';
import { findHolder, lockDataFolder } from '../data-folder/lock.ts';
import { openEmbeddedDatabase } from '../db/embedded.ts';
import { migrate } from '../db/migrate.ts';
import type { Output } from './output.ts';

/** `vitrine migrate`: brings the schema to the newest version. A running server has done so when it started. */
export async function migrateDatabase(config: Config, output: Output): Promise<number> {
  const holder = findHolder(config.dataDir);
  if (holder) {
    output.write(
      `The server (process ${holder.pid}) brought the schema to its newest version when it started.\n`,
    );
    return 0;
  }
  const lock = lockDataFolder(config.dataDir);
  try {
    const database = await openEmbeddedDatabase(join(config.dataDir, 'db'));
    const { version, applied } = await migrate(database);
    await database.close();
    const what = applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing was to be done';
    output.write(`Schema version ${version}: ${what}.\n`);
    return 0;
  } finally {
    lock.release();
  }
}
