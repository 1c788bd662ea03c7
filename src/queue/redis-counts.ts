import { type RequestCounts, windowSeconds } from '../model/request-counts.ts';
import { getFailureReason } from './queue.ts';
import { openRedisClient } from './redis-connection.ts';

interface Options {
  /** May contain a password, so it must not appear in logs or messages. */
  readonly url: string;
  /** Prefix of the keys, so that several installations can share a server. */
  readonly prefix: string;
}

/** How long Redis keeps a count. It is longer than a window, because the clocks of processes differ. */
const keptSeconds = 3 * windowSeconds;

/** Counts in Redis, which also provides the clock and removes old counts. Fails immediately while Redis is unavailable. */
export function makeRedisCounts({ url, prefix }: Options): RequestCounts {
  const client = openRedisClient(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  // The client reconnects by itself, and the caller reports failures.
  client.on('error', () => undefined);
  return {
    async add(added) {
      const pipeline = client.pipeline().time();
      for (const { bucket, window, requests } of added) {
        const key = `${prefix}:requests:${window}:${bucket}`;
        pipeline.incrby(key, requests).expire(key, keptSeconds);
      }
      const [time, ...replies] = valuesOf(await pipeline.exec());
      const [seconds = 0, microseconds = 0] = (time as readonly string[]).map(Number);
      return {
        now: seconds * 1_000 + microseconds / 1_000,
        totals: added.map((_requests, index) => Number(replies[2 * index])),
      };
    },
    removeBefore: () => Promise.resolve(),
    close: () => client.disconnect(),
  };
}

/**
 * Returns the replies of a pipeline.
 * @throws {Error} with only the reason if a command failed, because the client's errors contain the commands.
 */
function valuesOf(replies: readonly [error: Error | null, reply: unknown][] | null): unknown[] {
  return (replies ?? []).map(([error, reply]) => {
    if (error) throw new Error(getFailureReason(error));
    return reply;
  });
}
