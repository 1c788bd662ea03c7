import { makeApiKeyQueries } from './api-keys.ts';
import { makeAuditQueries } from './audit.ts';
import { makeAuditChainQueries } from './audit-chains/audit-chains.ts';
import { makeCampaignQueries } from './campaigns/campaigns.ts';
import type { Database } from './database.ts';
import type { VectorSupport } from './engine/vectors.ts';
import { makeDuplicateGroupQueries } from './duplicates/groups.ts';
import { makeResolutionQueries } from './duplicates/resolutions.ts';
import { makeVerdictQueries } from './duplicates/verdicts.ts';
import { makeCandidateVectorQueries } from './images/candidate-vectors.ts';
import { makeDeletionQueries } from './images/deletion.ts';
import { makeEmbeddingQueries } from './images/embeddings.ts';
import { makeFocalPointQueries } from './images/focal-points.ts';
import { makeFingerprintQueries } from './images/fingerprints.ts';
import { makeIdempotentRequestQueries } from './idempotent-requests.ts';
import { makeImageQueries } from './images/images.ts';
import { makeReferenceQueries } from './images/references.ts';
import { makeStoredFileQueries } from './images/stored-files.ts';
import { makeImportQueries } from './imports.ts';
import { makeInstallationQueries } from './installation.ts';
import { makeJobQueries } from './jobs/job-queries.ts';
import { makeJobReportQueries } from './jobs/job-reports.ts';
import { makePresetQueries } from './presets.ts';
import { makeExpiredRowQueries } from './purge/expired-rows.ts';
import { makePurgeQueries } from './purge/purging.ts';
import { makeQuotaQueries } from './quotas.ts';
import { makeRenditionRemovalQueries } from './renditions/removal.ts';
import { makeVariantClaimQueries } from './renditions/variant-claims.ts';
import { makeVariantQueries } from './renditions/variants.ts';
import { makeTenantSettingsQueries } from './tenant-settings.ts';
import { makeTenantQueries } from './tenants.ts';
import { makeRecountQueries } from './usage/recounting.ts';
import { makeUsageQueries } from './usage/usage.ts';
import { makeVectorIndexQueries } from './vector-indexes.ts';

/** All queries on a database, grouped by subject. */
export type Queries = ReturnType<typeof makeQueries>;

/** Creates all queries. @param vectors whether the database can store embeddings, as reported by `migrate` */
export function makeQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  return {
    apiKeys: makeApiKeyQueries(database),
    audit: makeAuditQueries(database),
    auditChains: makeAuditChainQueries(database),
    campaigns: makeCampaignQueries(database, vectors),
    candidateVectors: makeCandidateVectorQueries(database),
    deletion: makeDeletionQueries(database),
    duplicateGroups: makeDuplicateGroupQueries(database),
    embeddings: makeEmbeddingQueries(database, vectors),
    storedFiles: makeStoredFileQueries(database),
    focalPoints: makeFocalPointQueries(database),
    fingerprints: makeFingerprintQueries(database),
    expiredRows: makeExpiredRowQueries(database, vectors),
    idempotentRequests: makeIdempotentRequestQueries(database),
    images: makeImageQueries(database),
    imports: makeImportQueries(database),
    installation: makeInstallationQueries(database),
    jobs: makeJobQueries(database, vectors),
    storedPresets: makePresetQueries(database),
    purging: makePurgeQueries(database, vectors),
    recounting: makeRecountQueries(database),
    references: makeReferenceQueries(database),
    renditionRemoval: makeRenditionRemovalQueries(database),
    reports: makeJobReportQueries(database),
    resolutions: makeResolutionQueries(database),
    quotas: makeQuotaQueries(database),
    tenants: makeTenantQueries(database),
    tenantSettings: makeTenantSettingsQueries(database),
    usage: makeUsageQueries(database),
    variantClaims: makeVariantClaimQueries(database),
    variants: makeVariantQueries(database),
    vectorIndexes: makeVectorIndexQueries(database),
    verdicts: makeVerdictQueries(database),
  };
}
