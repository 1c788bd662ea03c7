import { test } from 'vitest';
import { hasRedisServer } from '../support/inner/redis-server.ts';
import { services } from '../support/services.ts';
import { killAndFlushRedis } from './scenarios/redis.ts';
import { faultRounds } from './support/settings.ts';

test.runIf(services.databaseUrl && hasRedisServer())(
  'continues to work under load when Redis is killed or flushed',
  async () => {
    await killAndFlushRedis(faultRounds);
  },
);
