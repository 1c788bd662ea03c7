import { type App, makeApp } from '../app.ts';
import { describeEngines } from '../app/open-engines.ts';
import { untilStopped } from './stop-signals.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';

/** `vitrine serve`: the API, and a worker in the same process unless `ENABLE_WORKER` is false. */
export async function serve(config: Config): Promise<void> {
  // From the first moment: a stop during a long first start ends as cleanly as any other.
  const stopped = untilStopped();
  const logger = await makeLogger(config.log);
  for (const warning of config.exposureWarnings) logger.warn({}, warning);
  const app = await startApp(config, logger, stopped);
  await start(app, config);
  logger.info({}, describeEngines(config));
  if (!config.worker.enabled)
    logger.warn({}, 'ENABLE_WORKER is false: queued pictures wait for a process that runs "vitrine worker"');
  const signal = await stopped;
  logger.info({ signal }, `${signal}: requests and jobs in hand may finish, the rest is handed back`);
  await app.close();
  logger.info({}, 'stopped');
}

/** A port that is taken must not leave a process behind that holds the data folder. */
async function start(app: App, config: Config): Promise<void> {
  try {
    await app.listen();
    if (config.worker.enabled) await app.work();
  } catch (error) {
    await app.close();
    throw error;
  }
}

/**
 * Makes the app of a process that runs until it is stopped. A start may wait for a database server for long, and a stop
 * does not wait with it: nothing is in hand yet, and a migration is one transaction. The embedded database is let finish.
 */
export async function startApp(
  config: Config,
  logger: Parameters<typeof makeApp>[1],
  stopped: Promise<NodeJS.Signals>,
): Promise<App> {
  for (const warning of config.warnings) logger.warn({}, warning);
  const making = makeApp(config, logger);
  if (config.database.kind === 'embedded') return making;
  const first = await Promise.race([making, stopped]);
  if (typeof first !== 'string') return first;
  logger.info({ signal: first }, `${first}: stopped before the start was over`);
  process.exit(0);
}
