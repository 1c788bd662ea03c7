import { test } from 'vitest';
import { services } from '../support/services.ts';
import { terminateConnections, killPostgres } from './scenarios/postgres.ts';
import { faultRounds, postgresCommands } from './support/settings.ts';

const { kill, start } = postgresCommands;

test.runIf(services.databaseUrl && kill && start)(
  'survives kills and restarts of PostgreSQL under load',
  async () => {
    await killPostgres(faultRounds, kill ?? '', start ?? '');
  },
);

test.runIf(services.databaseUrl)(
  'survives termination of all PostgreSQL connections under load',
  async () => {
    await terminateConnections(faultRounds);
  },
);
