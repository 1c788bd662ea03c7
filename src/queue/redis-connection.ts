import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { makeOutage } from '../model/outage.ts';
import { inTime } from '../model/time-limit.ts';
import { reasonOf } from './queue.ts';

/** The connection on which messages are sent, and what is known of its server. */
export interface RedisLink {
  readonly client: Redis;
  /** What the server is, as soon as it was reached for the first time. */
  readonly reached: Promise<RedisTraits>;
  /** The server took a message. */
  readonly worked: () => void;
  /** The server answered, and did not do what was asked. */
  readonly refused: (error: unknown) => void;
  /** @see WorkQueue.trouble */
  readonly trouble: () => string | undefined;
  close(): void;
}

/** Opens a link. A server that is away is waited for; the log has a line when it goes away and one when it is back. */
export function openRedisLink(url: string, logger: Logger): RedisLink {
  const { host } = new URL(url);
  // Without a connection a message fails at once; it is not kept for later, when it has no meaning any more.
  const client = openRedisClient(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  const outage = makeOutage(logger, {
    level: 'warn',
    began: `Redis at ${host} cannot be used: nothing is lost, workers look for jobs every second; trying again`,
    ended: `Redis at ${host} is used again`,
  });
  const { promise: reached, resolve } = Promise.withResolvers<RedisTraits>();
  const warned = new Set<string>();
  let reason = 'not connected yet';
  let works = false;

  function worked(): void {
    works = true;
    outage.ended();
  }

  function failed(why: string): void {
    works = false;
    reason = why;
    // Errors of the client hold what was sent to the server, passwords among it: the reason alone goes into the log.
    outage.began(why);
  }

  async function greet(): Promise<void> {
    // The client goes on with database 0 when the server has no such number: that one may be somebody else's.
    const refusal = await client.select(client.options.db ?? 0).catch(reasonOf);
    if (refusal !== 'OK') return failed(refusal);
    worked();
    const traits = await examineRedis(client);
    for (const warning of traits.warnings) if (!warned.has(warning)) logger.warn({}, warning);
    traits.warnings.forEach((warning) => warned.add(warning));
    resolve(traits);
  }

  client.on('ready', () => void greet());
  client.on('error', (error) => failed(reasonOf(error)));
  client.on('close', () => works && failed('the connection ended'));
  return {
    client,
    reached,
    worked,
    refused(error) {
      if (client.status === 'ready') failed(reasonOf(error));
    },
    trouble: () =>
      works
        ? undefined
        : `Redis at ${host} cannot be used now (${reason}). Nothing is lost: workers look for jobs every second.`,
    close() {
      client.removeAllListeners('close');
      client.disconnect();
    },
  };
}

/** How often a server is asked whether it is still there; half of it may pass until it answers. */
const heartbeatMs = 6_000;
/** A server may take this long, or twice as long, to say the first word. */
const greetingMs = 1_500;
const firstPauseMs = 250;
const longestPauseMs = 2_000;

/** A client that connects again for ever, and notices when the other end has gone without a word. */
export function openRedisClient(url: string, options: RedisOptions): Redis {
  const client = new Redis(url, {
    connectTimeout: 3_000,
    disconnectTimeout: 500,
    keepAlive: 10_000,
    retryStrategy: (tries) => Math.min(firstPauseMs * 2 ** (tries - 1), longestPauseMs),
    ...options,
  });
  const timer = setInterval(() => void beat(client), heartbeatMs).unref();
  const stopWatching = watchGreeting(client);
  client.once('end', () => {
    clearInterval(timer);
    stopWatching();
  });
  return client;
}

async function beat(client: Redis): Promise<void> {
  if (client.status !== 'ready') return;
  await inTime(client.ping(), heartbeatMs / 2).catch(() => client.disconnect(true));
}

/** Has a client begin anew when the server took its connection and then answers nothing: no other limit ends that. */
export function watchGreeting(client: {
  readonly status: string;
  disconnect(reconnect?: boolean): void;
}): () => void {
  let wasGreeting = false;
  const timer = setInterval(() => {
    const isGreeting = client.status === 'connect';
    if (isGreeting && wasGreeting) client.disconnect(true);
    wasGreeting = isGreeting;
  }, greetingMs).unref();
  return () => clearInterval(timer);
}

/** What Vitrine has to know of a server. */
export interface RedisTraits {
  /** Whether it tells its version. */
  readonly isKnown: boolean;
  /** Sentences about what is not as it should be. */
  readonly warnings: readonly string[];
}

const oldestVersion = [6, 2] as const;

/** Asks a server what it is. What it may not tell is no failure. */
async function examineRedis(client: Redis): Promise<RedisTraits> {
  const info = await client.info().catch(() => '');
  const version = /^redis_version:(\S+)/m.exec(info)?.[1];
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const warnings: string[] = [];
  if (version !== undefined && isTooOld(version))
    warnings.push(
      `Redis is version ${version}; ${oldestVersion.join('.')} is the oldest that is tried with Vitrine.`,
    );
  if (policy !== undefined && policy !== 'noeviction')
    warnings.push(
      `Redis may throw wake-ups away when its memory is full (maxmemory-policy is ${policy}); set it to noeviction.`,
    );
  return { isKnown: version !== undefined, warnings };
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]);
}
