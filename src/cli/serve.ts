import { type App, makeApp } from '../app.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { version } from '../version.ts';
import { untilStopped } from './stop-signals.ts';

/** `vitrine serve`: the API, and a worker in the same process unless `ENABLE_WORKER` is false. */
export async function serve(config: Config): Promise<void> {
  // From the first moment: a stop during a long first start ends as cleanly as any other.
  const stopped = untilStopped();
  const logger = makeLogger(config.logLevel);
  const app = await makeApp(config, logger);
  const url = await start(app, config);
  logger.info(
    { url, dataDir: config.dataDir, presets: config.presets.map(({ name }) => name) },
    `Vitrine ${version} listens on ${url}; data lies in ${config.dataDir}; the database (PostgreSQL with pgvector) and the queue are embedded, pictures are stored in ${config.storage.path}`,
  );
  if (!config.worker.enabled)
    logger.warn({}, 'ENABLE_WORKER is false: queued pictures wait for another worker');
  const signal = await stopped;
  logger.info({ signal }, `${signal}: requests and jobs in hand may finish, the rest is handed back`);
  await app.close();
  logger.info({}, 'stopped');
}

/** A port that is taken must not leave a process behind that holds the data folder. */
async function start(app: App, config: Config): Promise<string> {
  try {
    const url = await app.listen();
    if (config.worker.enabled) await app.work();
    return url;
  } catch (error) {
    await app.close();
    throw error;
  }
}
