import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { withTimeout } from '../timeout.ts';
import { getFailureReason } from './queue.ts';

/** The connection for sending messages, and its state. */
export interface RedisConnection {
  readonly client: Redis;
  /** Resolves when the server has been reached for the first time. */
  readonly serverInfo: Promise<RedisServerInfo>;
  /** Call this when the server has accepted a message. */
  readonly onSuccess: () => void;
  /** Call this when a message could not be sent. */
  readonly onFailure: (error: unknown) => void;
  /** @see WorkQueue.outageReason */
  readonly outageReason: () => string | undefined;
  close(): void;
}

/** Opens a connection that reconnects indefinitely. Logs when the server becomes unavailable or available again. */
export function openRedisConnection(url: string, logger: Logger): RedisConnection {
  const { host } = new URL(url);
  // Without a connection, messages fail immediately instead of waiting, because a late message would be useless.
  const client = openRedisClient(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: `Redis at ${host} is unavailable, reconnecting; workers still find all jobs, because they poll every second`,
    restored: `Redis at ${host} is available again`,
  });
  const { promise: serverInfo, resolve } = Promise.withResolvers<RedisServerInfo>();
  const loggedWarnings = new Set<string>();
  let reason = 'not connected yet';
  let isAvailable = false;

  function markAvailable(): void {
    isAvailable = true;
    availability.reportSuccess();
  }

  function markUnavailable(newReason: string): void {
    isAvailable = false;
    reason = newReason;
    // Only the reason is logged, because the client's errors contain the commands that it sent, including passwords.
    availability.reportFailure(newReason);
  }

  async function onReady(): Promise<void> {
    // If the selected database does not exist, the client silently uses database 0, which another application may use.
    const reply = await client.select(client.options.db ?? 0).catch(getFailureReason);
    if (reply !== 'OK') return markUnavailable(reply);
    markAvailable();
    const info = await inspectServer(client);
    for (const warning of info.warnings) if (!loggedWarnings.has(warning)) logger.warn({}, warning);
    info.warnings.forEach((warning) => loggedWarnings.add(warning));
    resolve(info);
  }

  client.on('ready', () => void onReady());
  client.on('error', (error) => markUnavailable(getFailureReason(error)));
  client.on('close', () => isAvailable && markUnavailable('the connection was closed'));
  return {
    client,
    serverInfo,
    onSuccess: markAvailable,
    onFailure(error) {
      // If the connection was lost, the client's error handler has already recorded the reason.
      if (client.status === 'ready') markUnavailable(getFailureReason(error));
    },
    outageReason: () =>
      isAvailable
        ? undefined
        : `Redis at ${host} is unavailable (${reason}). Workers still find all jobs, because they poll every second.`,
    close() {
      client.removeAllListeners('close');
      client.disconnect();
    },
  };
}

/** Time between heartbeats. The server must respond within half of this time. */
const heartbeatMs = 6_000;
/** Time between handshake checks. A handshake that is in progress at two consecutive checks is considered failed. */
const handshakeCheckMs = 1_500;
/** Pause before the second connection attempt. It doubles with each attempt, up to `maxPauseMs`. */
const minPauseMs = 250;
const maxPauseMs = 2_000;

/** Opens a client that reconnects indefinitely, even if the server vanishes without closing the connection. */
export function openRedisClient(url: string, options: RedisOptions): Redis {
  const client = new Redis(url, {
    connectTimeout: 3_000,
    disconnectTimeout: 500,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(minPauseMs * 2 ** (attempt - 1), maxPauseMs),
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

/**
 * Reconnects the client whenever the server accepts the connection but never responds. No other timeout covers this case.
 * Returns a function that ends the checks.
 */
export function watchHandshake(client: {
  readonly status: string;
  disconnect(reconnect?: boolean): void;
}): () => void {
  let wasInHandshake = false;
  const timer = setInterval(() => {
    const isInHandshake = client.status === 'connect';
    if (isInHandshake && wasInHandshake) client.disconnect(true);
    wasInHandshake = isInHandshake;
  }, handshakeCheckMs).unref();
  return () => clearInterval(timer);
}

/** Facts about a Redis server. */
export interface RedisServerInfo {
  /** Whether the server reports its version. */
  readonly reportsVersion: boolean;
  /** Warnings about the version or configuration, as sentences. */
  readonly warnings: readonly string[];
}

const minVersion = [6, 2] as const;

/** Checks the server's version and configuration, unless the server does not report them. */
async function inspectServer(client: Redis): Promise<RedisServerInfo> {
  const info = await client.info().catch(() => '');
  const version = /^redis_version:(\S+)/m.exec(info)?.[1];
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const warnings: string[] = [];
  if (version !== undefined && isTooOld(version))
    warnings.push(
      `The Redis server has version ${version}, but Vitrine is tested only with version ${minVersion.join('.')} and later.`,
    );
  if (policy !== undefined && policy !== 'noeviction')
    warnings.push(
      `Redis may evict wake-ups when its memory is full, because maxmemory-policy is ${policy}. Set it to noeviction.`,
    );
  return { reportsVersion: version !== undefined, warnings };
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < minVersion[0] || (major === minVersion[0] && minor < minVersion[1]);
}
