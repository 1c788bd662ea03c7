import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { privateRedis } from '../../support/inner/redis-server.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { timeUntil } from '../support/rows.ts';

/**
 * Redis is emptied in every second round; in the others it is killed as by `kill -9`, and comes back with what its file
 * had kept or with nothing.
 */
export async function killAndEmptyRedis(rounds: number): Promise<void> {
  const redis = await privateRedis('--appendonly', 'yes');
  await redis.start();
  const installation = await startInstallation({ REDIS_URL: redis.url });
  await runRounds(installation, {
    name: 'Redis killed or emptied',
    rounds,
    async fault(round) {
      if (round % 2 === 0) return void (await redis.command('FLUSHALL'));
      await redis.kill();
      await sleep((round % 3) * 700);
      const keepsFile = round % 4 === 1;
      await redis.start('--appendonly', keepsFile ? 'yes' : 'no');
      await timeUntil('Redis itself', 5_000, async () => (await redis.command('PING')) === 'PONG');
    },
    judge({ statuses }) {
      expect(
        [...statuses.keys()].filter((status) => status >= 300),
        'Redis is no concern of clients',
      ).toEqual([]);
    },
  });
}
