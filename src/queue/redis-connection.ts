import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { withTimeout } from '../timeout.ts';
import { reasonOf } from './queue.ts';

/** The connection on which messages are sent, and the state of its server. */
export interface RedisConnection {
  readonly client: Redis;
  /** Resolves when the server is reached for the first time. */
  readonly reached: Promise<RedisServerInfo>;
  /** Reports that the server accepted a message. */
  readonly onSuccess: () => void;
  /** Reports that the server refused a message. */
  readonly onFailure: (error: unknown) => void;
  /** @see WorkQueue.trouble */
  readonly trouble: () => string | undefined;
  close(): void;
}

/** Opens a connection that reconnects indefinitely. Logs one line when the server is lost and one when it is available again. */
export function openRedisConnection(url: string, logger: Logger): RedisConnection {
  const { host } = new URL(url);
  // Without a connection a message fails at once. It is not kept, because it would be useless later.
  const client = openRedisClient(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: `Redis at ${host} is unavailable; nothing is lost, workers poll for jobs every second; reconnecting`,
    restored: `Redis at ${host} is available again`,
  });
  const { promise: reached, resolve } = Promise.withResolvers<RedisServerInfo>();
  const loggedWarnings = new Set<string>();
  let reason = 'not connected yet';
  let isAvailable = false;

  function succeed(): void {
    isAvailable = true;
    availability.restored();
  }

  function fail(failure: string): void {
    isAvailable = false;
    reason = failure;
    // The client's errors contain what was sent to the server, including passwords: only the reason is logged.
    availability.lost(failure);
  }

  async function onReady(): Promise<void> {
    // If the server has no such database, the client continues with database 0, which may belong to another application.
    const reply = await client.select(client.options.db ?? 0).catch(reasonOf);
    if (reply !== 'OK') return fail(reply);
    succeed();
    const server = await inspectServer(client);
    for (const warning of server.warnings) if (!loggedWarnings.has(warning)) logger.warn({}, warning);
    server.warnings.forEach((warning) => loggedWarnings.add(warning));
    resolve(server);
  }

  client.on('ready', () => void onReady());
  client.on('error', (error) => fail(reasonOf(error)));
  client.on('close', () => isAvailable && fail('the connection was closed'));
  return {
    client,
    reached,
    onSuccess: succeed,
    onFailure(error) {
      // Without a connection the reason is known already.
      if (client.status === 'ready') fail(reasonOf(error));
    },
    trouble: () =>
      isAvailable
        ? undefined
        : `Redis at ${host} is unavailable (${reason}). Nothing is lost: workers poll for jobs every second.`,
    close() {
      client.removeAllListeners('close');
      client.disconnect();
    },
  };
}

/** Interval of heartbeats. The server must respond within half of it. */
const heartbeatMs = 6_000;
/** A server may take once to twice this long to complete the handshake. */
const handshakeMs = 1_500;
const minPauseMs = 250;
const maxPauseMs = 2_000;

/** Opens a client that reconnects indefinitely and detects a peer that vanished without closing the connection. */
export function openRedisClient(url: string, options: RedisOptions): Redis {
  const client = new Redis(url, {
    connectTimeout: 3_000,
    disconnectTimeout: 500,
    keepAlive: 10_000,
    retryStrategy: (tries) => Math.min(minPauseMs * 2 ** (tries - 1), maxPauseMs),
    ...options,
  });
  const timer = setInterval(() => void sendHeartbeat(client), heartbeatMs).unref();
  const stopWatching = watchHandshake(client);
  client.once('end', () => {
    clearInterval(timer);
    stopWatching();
  });
  return client;
}

async function sendHeartbeat(client: Redis): Promise<void> {
  if (client.status !== 'ready') return;
  await withTimeout(client.ping(), heartbeatMs / 2).catch(() => client.disconnect(true));
}

/** Reconnects a client whose server accepts the connection but never responds: no other timeout covers that. */
export function watchHandshake(client: {
  readonly status: string;
  disconnect(reconnect?: boolean): void;
}): () => void {
  let wasInHandshake = false;
  const timer = setInterval(() => {
    const isInHandshake = client.status === 'connect';
    if (isInHandshake && wasInHandshake) client.disconnect(true);
    wasInHandshake = isInHandshake;
  }, handshakeMs).unref();
  return () => clearInterval(timer);
}

/** What Vitrine needs to know about a server. */
export interface RedisServerInfo {
  /** Whether the server reports its version. */
  readonly hasVersion: boolean;
  /** Sentences about problems with version and configuration. */
  readonly warnings: readonly string[];
}

const minVersion = [6, 2] as const;

/** Checks version and configuration of a server. A server that may not report them is accepted. */
async function inspectServer(client: Redis): Promise<RedisServerInfo> {
  const info = await client.info().catch(() => '');
  const version = /^redis_version:(\S+)/m.exec(info)?.[1];
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const warnings: string[] = [];
  if (version !== undefined && isTooOld(version))
    warnings.push(`Redis is version ${version}; Vitrine is tested with ${minVersion.join('.')} and newer.`);
  if (policy !== undefined && policy !== 'noeviction')
    warnings.push(
      `Redis may evict wake-ups when its memory is full (maxmemory-policy is ${policy}); set it to noeviction.`,
    );
  return { hasVersion: version !== undefined, warnings };
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < minVersion[0] || (major === minVersion[0] && minor < minVersion[1]);
}
