import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { runOnServer } from '../../support/inner/server-database.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';
import { timeUntil } from '../support/database.ts';

const run = promisify(execFile);

/** Kills the PostgreSQL server with SIGKILL and restarts it after up to 1.5 s. */
export async function killPostgres(rounds: number, killCommand: string, startCommand: string): Promise<void> {
  const installation = await startInstallation();
  await runRounds(installation, {
    name: 'PostgreSQL killed and restarted',
    rounds,
    async fault(round) {
      await run('sh', ['-c', killCommand]);
      await sleep((round % 4) * 500);
      const startProcess = run('sh', ['-c', startCommand]);
      await timeUntil(
        'the start of PostgreSQL',
        60_000,
        async () => (await runOnServer('SELECT 1')).length === 1,
      );
      void startProcess.catch(() => undefined);
    },
  });
}

/** Terminates all of the installation's connections, as a fast shutdown of PostgreSQL does. */
export async function terminateConnections(rounds: number): Promise<void> {
  const installation = await startInstallation();
  await runRounds(installation, {
    name: 'all PostgreSQL connections terminated',
    rounds,
    async fault() {
      // Several terminations interrupt statements in different states.
      for (let count = 0; count < 5; count++) {
        await runOnServer(terminationStatement(installation.database));
        await sleep(count * 30);
      }
    },
  });
}

function terminationStatement(database: string): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`;
}
