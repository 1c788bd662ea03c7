import { makeApp } from '../app.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { untilStopped } from './stop-signals.ts';

/**
 * `vitrine worker`: takes jobs and serves no requests. The embedded database belongs to one process, so this is for
 * finishing what a stopped server left; while a server runs it is refused by the lock.
 */
export async function work(config: Config): Promise<void> {
  // From the first moment: a stop during a long first start ends as cleanly as any other.
  const stopped = untilStopped();
  const logger = await makeLogger(config.log);
  const app = await makeApp(config, logger);
  await app.work();
  logger.info({ dataDir: config.dataDir }, `worker takes jobs from ${config.dataDir}`);
  await stopped;
  await app.close();
}
