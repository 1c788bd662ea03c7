import { type App, makeApp } from '../app.ts';
import { describeBackEnds } from '../app/open-back-ends.ts';
import { exitOnFailure, waitForStopSignal } from './stop-signals.ts';
import type { Config } from '../config.ts';
import { ConfigError } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import type { PresetRole } from '../services/follow-presets.ts';
import { describeUnusableKeys, unusableKeysRemedy } from '../services/access/api-keys.ts';
import { makeLogger } from '../telemetry/logger.ts';

/** Runs `vitrine serve`: the API, with a worker in the same process unless `ENABLE_WORKER` is false. */
export async function serve(config: Config): Promise<void> {
  // Signal handlers are installed first, so that they also handle a signal during startup.
  const stopSignal = waitForStopSignal();
  const logger = await makeLogger(config.log);
  const app = await startApp(config, logger, stopSignal, 'decide');
  for (const warning of config.exposureWarnings) logger.warn({}, warning);
  await startServing(app, config);
  logger.info({}, describeBackEnds(config));
  logger.info({}, describeAccess(config));
  if (!(await app.canManageKeys())) logger.warn({}, missingKeyHint);
  await warnOfUnusableKeys(app, config, logger);
  if (!config.worker.enabled)
    logger.warn({}, 'ENABLE_WORKER is false: queued jobs wait for a process that runs "vitrine worker"');
  const signal = await stopSignal;
  logger.info({ signal }, `${signal}: finishing requests and jobs in progress`);
  await app.close();
  logger.info({}, 'stopped');
}

async function warnOfUnusableKeys(app: App, { access }: Config, logger: Logger): Promise<void> {
  const problem = access.mode === 'keys' ? describeUnusableKeys(await app.countKeys()) : undefined;
  if (problem !== undefined) logger.warn({}, `${problem} ${unusableKeysRemedy}`);
}

const missingKeyHint =
  'there is no API key that can create others: run "vitrine keys create --name ops --role admin" with the settings of this server, or set BOOTSTRAP_ADMIN_KEY';

function describeAccess({ access, server }: Config): string {
  if (access.mode === 'keys') return 'AUTH=keys: requests need an API key';
  const who = server.isExposed ? 'anyone who can reach this server' : 'every program on this machine';
  return `AUTH=open: no access control, ${who} can upload, read and delete every image`;
}

/** Starts the HTTP server and the worker. If the port is in use, closes the app, which unlocks the data folder. */
async function startServing(app: App, config: Config): Promise<void> {
  try {
    await app.listen();
    if (config.worker.enabled) await app.work();
  } catch (error) {
    await app.close();
    throw error;
  }
}

/**
 * Creates the app of a long-running process. With a database server, startup may take a long time, so a stop signal
 * during startup ends the process immediately. This is safe, because no work is in progress yet and a migration is a
 * single transaction. With the embedded database, a stop signal does not interrupt startup.
 */
export async function startApp(
  config: Config,
  logger: Parameters<typeof makeApp>[1],
  stopSignal: Promise<NodeJS.Signals>,
  presetRole: PresetRole,
): Promise<App> {
  // Checked first, because the warnings describe a running process.
  if (config.access.problems.length > 0) throw new ConfigError(config.access.problems);
  for (const warning of config.warnings) logger.warn({}, warning);
  const appPromise = makeApp(config, logger, exitOnFailure, presetRole);
  if (config.database.kind === 'embedded') return appPromise;
  const result = await Promise.race([appPromise, stopSignal]);
  if (typeof result !== 'string') return result;
  logger.info({ signal: result }, `${result}: stopped during startup`);
  process.exit(0);
}
