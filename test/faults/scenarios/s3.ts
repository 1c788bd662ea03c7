import { setTimeout as sleep } from 'node:timers/promises';
import { startProxy } from '../../storage/s3/support/proxy.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';

const faults = [
  'error 500',
  'no response',
  'error 503',
  'truncated body',
  'connection refused',
  'stalled body',
] as const;

/** Injects each fault in turn, for less time than a job's three retries take. */
export async function injectS3Faults(rounds: number): Promise<void> {
  const store = await startProxy();
  const installation = await startInstallation(s3Environment({ S3_ENDPOINT: store.url }));
  await runRounds(installation, {
    name: 'S3 faults',
    rounds,
    async fault(round, ledger) {
      // With this many jobs, the fault affects every worker.
      await Promise.all(Array.from({ length: 12 }, () => ledger.upload(installation.url, 'queued')));
      const fault = faults[(round - 1) % faults.length] ?? 'error 500';
      const faultMs = 1_000 + (round % 3) * 1_000;
      if (fault === 'connection refused') {
        await store.down();
        await sleep(faultMs);
        await store.up();
        return;
      }
      store.fault(fault);
      await sleep(faultMs);
      store.fault('none');
    },
  });
}
