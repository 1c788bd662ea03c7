import { expect } from 'vitest';
import { startProxy } from '../../storage/s3/support/proxy.ts';
import { call } from '../../support/process/client.ts';
import { makeLedger } from '../../support/process/ledger.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { startInstallation } from '../support/installation.ts';
import { expectConsistentDatabase } from '../support/invariants.ts';
import { queryRows, timeUntil } from '../support/database.ts';

const pictureCount = 6;

/** Makes all reads fail until the jobs have used up their retries. Expects a manual retry to complete the jobs. */
export async function failBeyondRetries(): Promise<void> {
  const store = await startProxy();
  const installation = await startInstallation(s3Environment({ S3_ENDPOINT: store.url }));
  const { url, database } = installation;
  const ledger = makeLedger('faults', { size: [800, 600] });
  store.fault('error 500', ({ method }) => method === 'GET');
  for (let count = 0; count < pictureCount; count++) await ledger.upload(url, 'queued');
  await timeUntil('the failure of all jobs', 60_000, async () => {
    const failedJobs = await queryRows(database, "SELECT 1 FROM jobs WHERE state = 'failed' AND retries = 3");
    return failedJobs.length === pictureCount;
  });
  store.fault('none');
  expect((await retryAll(url)).body).toEqual({ retried: pictureCount });
  await ledger.check(url);
  await expectConsistentDatabase(installation);
}

function retryAll(base: string) {
  return call(`${base}/v1/jobs/retry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code: 'storage_failed' }),
  });
}
