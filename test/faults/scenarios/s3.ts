import { setTimeout as sleep } from 'node:timers/promises';
import { startProxy } from '../../storage/s3/support/proxy.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { startInstallation } from '../support/installation.ts';
import { runRounds } from '../support/rounds.ts';

/** What a store may do instead of its work. */
const troubles = [
  'error 500',
  'silent',
  'error 503',
  'cut in the body',
  'refuses connections',
  'silent in the body',
] as const;

/** The store answers errors, says nothing, breaks off, or is not there: for shorter than a job's three retries. */
export async function troubleS3(rounds: number): Promise<void> {
  const store = await startProxy();
  const installation = await startInstallation(s3Environment({ S3_ENDPOINT: store.url }));
  await runRounds(installation, {
    name: 'S3 in trouble',
    rounds,
    async fault(round, ledger) {
      // So much that each place of the workers has a job that meets the trouble.
      await Promise.all(Array.from({ length: 12 }, () => ledger.upload(installation.url, 'queued')));
      const trouble = troubles[(round - 1) % troubles.length] ?? 'error 500';
      const awayMs = 1_000 + (round % 3) * 1_000;
      if (trouble === 'refuses connections') {
        await store.down();
        await sleep(awayMs);
        await store.up();
        return;
      }
      store.fault(trouble);
      await sleep(awayMs);
      store.fault('none');
    },
  });
}
