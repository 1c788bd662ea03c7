import { makeApp } from '../app.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { version } from '../version.ts';
import { untilStopped } from './stop-signals.ts';

/** `vitrine serve`: the API, and a worker in the same process unless `ENABLE_WORKER` is false. */
export async function serve(config: Config): Promise<void> {
  const logger = makeLogger(config.logLevel);
  const app = await makeApp(config, logger);
  const url = await app.listen();
  if (config.worker.enabled) await app.work();
  logger.info(
    { url, dataDir: config.dataDir, presets: config.presets.map(({ name }) => name) },
    `Vitrine ${version} listens on ${url}; data lies in ${config.dataDir}; the database (PostgreSQL with pgvector) and the queue are embedded, pictures are stored in ${config.storage.path}`,
  );
  if (!config.worker.enabled)
    logger.warn({}, 'ENABLE_WORKER is false: queued pictures wait for another worker');
  const signal = await untilStopped();
  logger.info({ signal }, `${signal}: requests and jobs in hand may finish, the rest is handed back`);
  await app.close();
  logger.info({}, 'stopped');
}
