import type { FastifyBaseLogger } from 'fastify';
import type { App } from './app/assemble.ts';
import { findLargeFolders, isOnlyProcess } from './app/exclusive-use.ts';
import type { Config } from './config.ts';
import { lockDataFolder } from './data-folder/lock.ts';
import { protectDataFolder } from './data-folder/private-folder.ts';
import { beginOpening } from './db/engine/start-embedded-thread.ts';
import { ConfigError } from './errors.ts';
import type { PresetRole } from './services/follow-presets.ts';

export type { App } from './app/assemble.ts';

/**
 * Creates all components of the app. With the embedded database, locks the data folder until the app is closed.
 * @param exitOnFailure called after logging a failure that only a restart can repair
 * @param presetRole what this process does with its own presets
 */
export async function makeApp(
  config: Config,
  logger: FastifyBaseLogger,
  exitOnFailure: () => void,
  presetRole: PresetRole = 'decide',
): Promise<App> {
  if (config.access.problems.length > 0) throw new ConfigError(config.access.problems);
  const lock = isOnlyProcess(config) ? lockDataFolder(config.dataDir) : undefined;
  const modeRepair = protectDataFolder(config.dataDir, findLargeFolders(config), logger);
  const releaseDataFolder = (): void => {
    modeRepair.stop();
    lock?.release();
  };
  const { database } = config;
  const thread = database.kind === 'embedded' ? beginOpening(database.path) : undefined;
  try {
    // The embedded database opens while the rest of the program is loaded. Each takes about half of a start.
    const { assembleApp } = await import('./app/assemble.ts');
    return await assembleApp({ config, logger, presetRole, thread, lock, releaseDataFolder, exitOnFailure });
  } catch (error) {
    await thread?.then(({ close }) => close()).catch(() => undefined);
    releaseDataFolder();
    throw error;
  }
}
