import { describeBackEnds } from '../app/open-back-ends.ts';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { startApp } from './serve.ts';
import { waitForStopSignal } from './stop-signals.ts';

/**
 * Runs `vitrine worker`: a worker without the API. Any number of workers can share a PostgreSQL server. The embedded
 * database allows only one process, so a worker can finish the jobs of a stopped server but cannot run at the same
 * time as a server.
 */
export async function runWorker(config: Config): Promise<void> {
  // Signal handlers are installed first, so that they also handle a signal during startup.
  const stopSignal = waitForStopSignal();
  const logger = await makeLogger(config.log);
  const app = await startApp(config, logger, stopSignal, 'follow');
  await startWorking(app, config);
  for (const warning of findPortWarnings(config)) logger.warn({}, warning);
  const { concurrency } = config.worker;
  logger.info({ concurrency }, `worker started, concurrency ${concurrency}; ${describeBackEnds(config)}`);
  const signal = await stopSignal;
  logger.info({ signal }, `${signal}: finishing jobs in progress`);
  await app.close();
  logger.info({}, 'stopped');
}

/** Returns a warning if other machines can read the metrics at `WORKER_PORT` without a key. */
function findPortWarnings({ access, server, worker }: Config): string[] {
  if (access.mode === 'keys' || worker.port === undefined || server.isOnLoopback) return [];
  return [
    'AUTH is open: anyone who can reach WORKER_PORT can read the metrics and the health of this worker. Set AUTH=keys, or set HOST to a loopback address.',
  ];
}

/** Starts the worker. If the worker cannot start, for example because the port is in use, closes the app. */
async function startWorking(app: App, config: Config): Promise<void> {
  try {
    if (config.worker.port !== undefined) await app.listenForProbes(config.worker.port);
    await app.work();
  } catch (error) {
    await app.close();
    throw error;
  }
}
