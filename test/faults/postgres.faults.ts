import { test } from 'vitest';
import { services } from '../support/services.ts';
import { terminateConnections, killPostgres } from './scenarios/postgres.ts';
import { faultRounds, postgresCommands } from './support/settings.ts';

const { kill, start } = postgresCommands;

test.runIf(services.databaseUrl && kill && start)(
  'continues to work under load when PostgreSQL is killed and restarted',
  async () => {
    await killPostgres(faultRounds, kill ?? '', start ?? '');
  },
);

test.runIf(services.databaseUrl)(
  'continues to work under load when all PostgreSQL connections are terminated',
  async () => {
    await terminateConnections(faultRounds);
  },
);
