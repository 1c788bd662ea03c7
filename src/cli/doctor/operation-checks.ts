import { openStorage } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import type { Database } from '../../db/database.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeJobReportQueries } from '../../db/jobs/job-reports.ts';
import { describeIdleness } from '../../services/check-health.ts';
import { findStorageMismatch } from '../../services/claim-storage.ts';
import type { Finding } from './finding.ts';

/** What only a database with its newest schema can tell: whether the storage is the right one, and whether work is done. */
export async function checkOperation(config: Config, database: Database): Promise<Finding[]> {
  return [...(await checkBelonging(config, database)), ...(await checkWork(database))];
}

/** Whether the storage is that of this database. One that does not answer has a finding of its own. */
export async function checkBelonging(config: Config, database: Database): Promise<Finding[]> {
  const storage = await openStorage(config).catch(() => undefined);
  if (!storage) return [];
  try {
    const mismatch = await findStorageMismatch({ storage, installation: makeInstallationQueries(database) });
    return mismatch ? [{ subject: 'pictures', state: mismatch.what, remedy: mismatch.remedy }] : [];
  } catch {
    return [];
  } finally {
    await storage.close();
  }
}

async function checkWork(database: Database): Promise<Finding[]> {
  const sentences = (await makeJobReportQueries(database).depth()).flatMap(
    (depth) => describeIdleness(depth) ?? [],
  );
  const remedy = 'Start vitrine worker, or a server without ENABLE_WORKER=false; then look into its log.';
  return sentences.map((state) => ({ subject: 'jobs', state, remedy }));
}
