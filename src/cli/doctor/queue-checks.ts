import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import { makeLogger } from '../../telemetry/logger.ts';
import type { Finding } from './finding.ts';

const names = { redis: 'Redis', postgres: 'PostgreSQL' };

/** Longest wait for what wakes workers up. */
const patienceMs = 3_000;

/** What wakes workers up, where that is a server. */
export async function checkQueue(config: Config): Promise<Finding[]> {
  if (config.queue.kind === 'in-process') return [];
  const queue = await openQueue(config, await makeLogger({ ...config.log, level: 'silent' }));
  try {
    for (let waited = 0; queue.trouble() !== undefined && waited < patienceMs; waited += 100)
      await sleep(100);
    const trouble = queue.trouble();
    const remedy = `Check ${config.queue.kind === 'redis' ? 'REDIS_URL' : 'DATABASE_URL'}, and that the server runs.`;
    return [
      trouble === undefined
        ? { subject: 'queue', state: `${names[config.queue.kind]} tells workers of new jobs` }
        : { subject: 'queue', state: trouble, remedy },
    ];
  } finally {
    await queue.close();
  }
}
