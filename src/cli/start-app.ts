import { type App, makeApp } from '../app.ts';
import type { Config } from '../config.ts';
import { exitOnFailure } from './stop-signals.ts';

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
  const making = makeApp(config, logger, exitOnFailure);
  if (config.database.kind === 'embedded') return making;
  const first = await Promise.race([making, stopped]);
  if (typeof first !== 'string') return first;
  logger.info({ signal: first }, `${first}: stopped before the start was over`);
  process.exit(0);
}
