import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onServer } from '../../support/inner/server-database.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { timeUntil } from '../support/rows.ts';

const run = promisify(execFile);

/** The server is killed as by `kill -9`, stays away for a moment, and recovers. */
export async function killPostgres(rounds: number, kill: string, start: string): Promise<void> {
  const installation = await startInstallation();
  await runRounds(installation, {
    name: 'PostgreSQL killed and restarted',
    rounds,
    async fault(round) {
      await run('sh', ['-c', kill]);
      await sleep((round % 4) * 500);
      const starting = run('sh', ['-c', start]);
      await timeUntil('PostgreSQL itself', 60_000, async () => (await onServer('SELECT 1')).length === 1);
      void starting.catch(() => undefined);
    },
  });
}

/** The server ends every connection of the installation at once, as a fast shutdown does. */
export async function cutConnections(rounds: number): Promise<void> {
  const installation = await startInstallation();
  await runRounds(installation, {
    name: 'all connections to PostgreSQL ended by the server',
    rounds,
    async fault() {
      // More than once, to meet statements in every state.
      for (let cut = 0; cut < 5; cut++) {
        await onServer(terminateAll(installation.database));
        await sleep(cut * 30);
      }
    },
  });
}

function terminateAll(database: string): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`;
}
