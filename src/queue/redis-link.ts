import type { Redis } from 'ioredis';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { examineRedis, openRedisClient, type RedisTraits } from './redis-client.ts';
import { reasonOf } from './reason.ts';

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
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: `Redis at ${host} cannot be used: nothing is lost, workers look for jobs every second; trying again`,
    restored: `Redis at ${host} is used again`,
  });
  const { promise: reached, resolve } = Promise.withResolvers<RedisTraits>();
  const warned = new Set<string>();
  let reason = 'not connected yet';
  let works = false;

  function worked(): void {
    works = true;
    availability.restored();
  }

  function failed(why: string): void {
    works = false;
    reason = why;
    // Errors of the client hold what was sent to the server, passwords among it: the reason alone goes into the log.
    availability.lost(why);
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
