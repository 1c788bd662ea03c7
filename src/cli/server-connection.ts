import { type Config, makeLoopbackConfig } from '../config.ts';
import { findLockHolder } from '../data-folder/lock.ts';
import { readOperatorKey } from '../data-folder/secret-file.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { type ApiClient, makeApiClient } from './api-client.ts';
import { exitOnFailure } from './stop-signals.ts';
import type { Output } from './terminal.ts';

/** The server that a command uses. `close` stops the server if it was started for the command. */
interface ServerConnection {
  readonly client: ApiClient;
  /** Token that confirms a purge on this server, if known. */
  readonly confirmToken: string | undefined;
  close(): Promise<void>;
}

/**
 * Connects to the server at `url` or, by default, to the server that has locked the data folder. If no server has
 * locked it, starts a server in this process for the duration of the command.
 */
export async function connectToServer(
  config: Config,
  url: string | undefined,
  output: Output,
): Promise<ServerConnection> {
  const isEmbedded = config.database.kind === 'embedded';
  const serverUrl = url ?? (isEmbedded ? findServerUrl(config.dataDir) : undefined);
  if (serverUrl !== undefined)
    return {
      client: makeApiClient({ baseUrl: serverUrl, apiKey: keyFor(config, url) }),
      confirmToken: config.purge.confirmToken,
      close: () => Promise.resolve(),
    };
  output.write(
    isEmbedded
      ? `No server is using ${config.dataDir}; starting one for this command.\n`
      : 'No --url was given; starting a server for this command with the configured database.\n',
  );
  const { makeApp } = await import('../app.ts');
  // The command prints its own progress, so the server should log only errors.
  const level = config.log.level === 'info' ? 'error' : config.log.level;
  const localConfig = makeLoopbackConfig(config);
  const logger = await makeLogger({ ...config.log, level });
  const app = await makeApp(localConfig, logger, exitOnFailure, isEmbedded ? 'decide' : 'follow');
  const baseUrl = await app.listen();
  await app.work();
  const { confirmToken } = localConfig.purge;
  return { client: makeApiClient({ baseUrl, apiKey: app.localKey }), confirmToken, close: () => app.close() };
}

/** Returns the key for a running server: the configured one or, for the server of the data folder, the one in the folder. */
export function keyFor({ access, dataDir }: Config, url: string | undefined): string | undefined {
  return access.apiKey ?? (url === undefined ? readOperatorKey(dataDir) : undefined);
}

/** Returns the URL of the server that has locked the data folder; `undefined` if it is not locked. */
export function findServerUrl(dataDir: string): string | undefined {
  const holder = findLockHolder(dataDir);
  if (!holder || holder.url !== undefined) return holder?.url;
  throw new CommandError(
    `Process ${holder.pid} uses ${dataDir} but is not serving requests (it is starting or stopping, or it is a worker). Try again later, or specify a server with --url.`,
  );
}

/** Thrown if a command cannot run in the current state of the system. The message explains what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
