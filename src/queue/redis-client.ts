import { Redis, type RedisOptions } from 'ioredis';
import { withTimeout } from '../timeout.ts';

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
  await withTimeout(client.ping(), heartbeatMs / 2).catch(() => client.disconnect(true));
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
export async function examineRedis(client: Redis): Promise<RedisTraits> {
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
