import { type Config, onLoopbackOnly } from '../config.ts';
import { findHolder } from '../data-folder/lock.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { type ApiClient, makeApiClient } from './api-client.ts';
import type { Output } from './output.ts';
import { exitOnFailure } from './stop-signals.ts';

/** The server that a command talks to. `close` ends it when it was started for the command. */
interface ServerConnection {
  readonly client: ApiClient;
  /** The token that confirms a purge on it, if known here. */
  readonly confirmToken: string | undefined;
  close(): Promise<void>;
}

/**
 * The server at `url`; else the one that holds the data folder, whose address stands in the lock; else one that runs in
 * this process for as long as the command.
 */
export async function connectToServer(
  config: Config,
  url: string | undefined,
  output: Output,
): Promise<ServerConnection> {
  const isEmbedded = config.database.kind === 'embedded';
  const known = url ?? (isEmbedded ? addressOfHolder(config.dataDir) : undefined);
  if (known !== undefined)
    return {
      client: makeApiClient({ baseUrl: known }),
      confirmToken: config.purge.confirmToken,
      close: () => Promise.resolve(),
    };
  output.write(
    isEmbedded
      ? `No server runs on ${config.dataDir}; one is started for this command.\n`
      : 'No server is named by --url; one is started for this command, on the same database.\n',
  );
  const { makeApp } = await import('../app.ts');
  // The command prints its own progress; the server's says only what goes wrong.
  const level = config.log.level === 'info' ? 'error' : config.log.level;
  const own = onLoopbackOnly(config);
  const app = await makeApp(own, await makeLogger({ ...config.log, level }), exitOnFailure);
  const baseUrl = await app.listen();
  await app.work();
  const { confirmToken } = own.purge;
  return { client: makeApiClient({ baseUrl }), confirmToken, close: () => app.close() };
}

function addressOfHolder(dataDir: string): string | undefined {
  const holder = findHolder(dataDir);
  return holder && (holder.url ?? refuseSilentHolder(dataDir, holder.pid));
}

function refuseSilentHolder(dataDir: string, pid: number): never {
  throw new CommandRefused(
    `Process ${pid} holds ${dataDir} and serves no requests (it starts, stops, or is a worker). Try again when it does, or name a server with --url.`,
  );
}

/** A command cannot do its work as things are; the message says what to do. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused';
}
