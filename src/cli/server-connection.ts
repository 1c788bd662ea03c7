import { type Config, loopbackConfig } from '../config.ts';
import { findHolder } from '../data-folder/lock.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { type ApiClient, makeApiClient } from './api-client.ts';
import { exitOnFailure } from './stop-signals.ts';
import type { Output } from './terminal.ts';

/** The server that a command uses. `close` stops it if it was started for the command. */
interface ServerConnection {
  readonly client: ApiClient;
  /** The token that confirms a purge on this server, if known. */
  readonly confirmToken: string | undefined;
  close(): Promise<void>;
}

/**
 * Connects to the server at `url`, else to the one that has the data folder locked, else to one that is started in this
 * process for the duration of the command.
 */
export async function connectToServer(
  config: Config,
  url: string | undefined,
  output: Output,
): Promise<ServerConnection> {
  const isEmbedded = config.database.kind === 'embedded';
  const runningUrl = url ?? (isEmbedded ? findServerUrl(config.dataDir) : undefined);
  if (runningUrl !== undefined)
    return {
      client: makeApiClient({ baseUrl: runningUrl }),
      confirmToken: config.purge.confirmToken,
      close: () => Promise.resolve(),
    };
  output.write(
    isEmbedded
      ? `No server is running on ${config.dataDir}; starting one for this command.\n`
      : 'No server given with --url; starting one for this command, on the same database.\n',
  );
  const { makeApp } = await import('../app.ts');
  // The command prints its own progress, so the server logs only errors.
  const level = config.log.level === 'info' ? 'error' : config.log.level;
  const localConfig = loopbackConfig(config);
  const app = await makeApp(localConfig, await makeLogger({ ...config.log, level }), exitOnFailure);
  const baseUrl = await app.listen();
  await app.work();
  const { confirmToken } = localConfig.purge;
  return { client: makeApiClient({ baseUrl }), confirmToken, close: () => app.close() };
}

function findServerUrl(dataDir: string): string | undefined {
  const holder = findHolder(dataDir);
  if (!holder || holder.url !== undefined) return holder?.url;
  throw new CommandRefused(
    `Process ${holder.pid} uses ${dataDir} but serves no requests (it is starting, stopping, or a worker). Try again once it does, or give a server with --url.`,
  );
}

/** A command cannot run in the current situation. The message says what to do. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused';
}
