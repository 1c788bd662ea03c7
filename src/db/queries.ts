import { makeCompletionQueries } from './completion.ts';
import type { Database } from './database.ts';
import { makeDeletionQueries } from './deletion.ts';
import { makeEmbeddingQueries } from './embeddings.ts';
import { makeFingerprintQueries } from './fingerprints.ts';
import { makeForgetQueries } from './forgetting.ts';
import { makeImageQueries } from './images.ts';
import { makeImportQueries } from './imports.ts';
import { makeInstallationQueries } from './installation.ts';
import { makeIntakeQueries } from './intake.ts';
import { makeJobReportQueries } from './job-reports.ts';
import { makeJobQueries } from './jobs.ts';
import { makePurgeQueries } from './purging.ts';
import { makeRecountQueries } from './recounting.ts';
import { makeReferenceQueries } from './references.ts';
import { makeSweepQueries } from './sweeping.ts';
import { makeTenantQueries } from './tenants.ts';
import { makeUrlIntakeQueries } from './url-intake.ts';
import { makeUsageQueries } from './usage.ts';
import type { VectorSupport } from './vectors.ts';

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
