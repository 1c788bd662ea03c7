import { test } from 'vitest';
import { hasRedisServer } from '../support/inner/redis-server.ts';
import { services } from '../support/services.ts';
import { killAndEmptyRedis } from './scenarios/redis.ts';
import { faultRounds } from './support/settings.ts';

test.runIf(services.databaseUrl && hasRedisServer())('Redis is killed and emptied under load', async () => {
  await killAndEmptyRedis(faultRounds);
});
