import { makeCompletionQueries } from './jobs/complete.ts';
import type { Database } from './database.ts';
import { makeDeletionQueries } from './images/deletion.ts';
import { makeEmbeddingQueries } from './images/embeddings.ts';
import { makeFingerprintQueries } from './images/fingerprints.ts';
import { makeForgetQueries } from './purge/forgetting.ts';
import { makeImageQueries } from './images/images.ts';
import { makeImportQueries } from './imports.ts';
import { makeInstallationQueries } from './installation.ts';
import { makeIntakeQueries } from './jobs/enqueue.ts';
import { makeJobReportQueries } from './jobs/job-reports.ts';
import { makeJobQueries } from './jobs/claim.ts';
import { makePurgeQueries } from './purge/purging.ts';
import { makeRecountQueries } from './usage/recounting.ts';
import { makeReferenceQueries } from './images/references.ts';
import { makeSweepQueries } from './sweeping.ts';
import { makeTenantQueries } from './tenants.ts';
import { makeUrlIntakeQueries } from './jobs/enqueue-urls.ts';
import { makeUsageQueries } from './usage/usage.ts';
import type { VectorSupport } from './engine/vectors.ts';

/** All queries on one database, by subject. */
export type Queries = ReturnType<typeof makeQueries>;

/** @param vectors whether the database keeps descriptors, as `migrate` found it. */
export function makeQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  return {
    completion: makeCompletionQueries(database, vectors),
    deletion: makeDeletionQueries(database),
    embeddings: makeEmbeddingQueries(database, vectors),
    fingerprints: makeFingerprintQueries(database),
    forgetting: makeForgetQueries(database, vectors),
    images: makeImageQueries(database),
    imports: makeImportQueries(database),
    installation: makeInstallationQueries(database),
    intake: makeIntakeQueries(database),
    jobs: makeJobQueries(database),
    purging: makePurgeQueries(database, vectors),
    recounting: makeRecountQueries(database),
    references: makeReferenceQueries(database),
    reports: makeJobReportQueries(database),
    sweeping: makeSweepQueries(database),
    tenants: makeTenantQueries(database),
    urlIntake: makeUrlIntakeQueries(database),
    usage: makeUsageQueries(database),
  };
}
