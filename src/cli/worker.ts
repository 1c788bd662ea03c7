import { describeEngines } from '../app/open-engines.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { startApp } from './start-app.ts';
import { untilStopped } from './stop-signals.ts';

/**
 * `vitrine worker`: takes jobs and serves no requests. On a PostgreSQL server there may be any number of them. The embedded
 * database belongs to one process: there it finishes what a stopped server left, and is refused while one runs.
 */
export async function work(config: Config): Promise<void> {
  // From the first moment: a stop during a long first start ends as cleanly as any other.
  const stopped = untilStopped();
  const logger = await makeLogger(config.log);
  const app = await startApp(config, logger, stopped);
  await start(app, config);
  const { concurrency } = config.worker;
  logger.info({ concurrency }, `worker takes jobs, ${concurrency} at once; ${describeEngines(config)}`);
  const signal = await stopped;
  logger.info({ signal }, `${signal}: jobs in hand may finish, the rest is handed back`);
  await app.close();
  logger.info({}, 'stopped');
}

/** A port that is taken must not leave a process behind that holds jobs. */
async function start(app: App, config: Config): Promise<void> {
  try {
    if (config.worker.port !== undefined) await app.listenForProbes(config.worker.port);
    await app.work();
  } catch (error) {
    await app.close();
    throw error;
  }
}
