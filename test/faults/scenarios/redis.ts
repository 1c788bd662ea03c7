import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { preparePrivateRedis } from '../../support/inner/redis-server.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { timeUntil } from '../support/database.ts';

/**
 * Flushes Redis in even rounds. In odd rounds, kills Redis with SIGKILL and restarts it with or without its append-only
 * file.
 */
export async function killAndFlushRedis(rounds: number): Promise<void> {
  const redis = await preparePrivateRedis('--appendonly', 'yes');
  await redis.start();
  const installation = await startInstallation({ REDIS_URL: redis.url });
  await runRounds(installation, {
    name: 'Redis killed or flushed',
    rounds,
    async fault(round) {
      if (round % 2 === 0) return void (await redis.command('FLUSHALL'));
      await redis.kill();
      await sleep((round % 3) * 700);
      const loadsFile = round % 4 === 1;
      await redis.start('--appendonly', loadsFile ? 'yes' : 'no');
      await timeUntil('the start of Redis', 5_000, async () => (await redis.command('PING')) === 'PONG');
    },
    verify({ statuses }) {
      expect(
        [...statuses.keys()].filter((status) => status >= 300),
        'no client is affected',
      ).toEqual([]);
    },
  });
}
