import { test } from 'vitest';
import { services } from '../support/services.ts';
import { cutConnections, killPostgres } from './scenarios/postgres.ts';
import { faultRounds, postgresCommands } from './support/settings.ts';

const { kill, start } = postgresCommands;

test.runIf(services.databaseUrl && kill && start)(
  'PostgreSQL is killed and restarted under load',
  async () => {
    await killPostgres(faultRounds, kill ?? '', start ?? '');
  },
);

test.runIf(services.databaseUrl)('PostgreSQL ends all connections under load', async () => {
  await cutConnections(faultRounds);
});
