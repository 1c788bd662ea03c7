import type { ImageQueries } from '../db/images/images.ts';
import type { ImportQueries } from '../db/imports.ts';
import type { JobReportQueries } from '../db/jobs/job-reports.ts';
import type { UsageQueries } from '../db/usage/usage.ts';
import type { CheckHealth } from './check-health.ts';
import type { CompareWithImage } from './compare-with-image.ts';
import type { DeleteImage } from './delete-image.ts';
import type { FindDuplicates } from './find-duplicates.ts';
import type { BindToTenant } from './find-tenant.ts';
import type { IngestUpload } from './ingest-upload.ts';
import type { IngestUrls } from './ingest-urls.ts';
import type { OfferUpload } from './offer-upload.ts';
import type { PurgeDeleted } from './purge/purge-deleted.ts';
import type { PurgeUnused } from './purge/purge-unused.ts';
import type { References } from './references.ts';
import type { RestoreImage } from './restore-image.ts';
import type { RetrieveImage } from './retrieve-image.ts';
import type { RetryJobs } from './retry-jobs.ts';
import type { SearchByPicture } from './search-by-picture.ts';
import type { FindSimilar } from './find-similar.ts';
import type { TakeInUpload } from './take-in-upload.ts';
import type { TryPresets } from './try-presets.ts';

/** The use cases that the API surfaces offer. */
export interface Services {
  readonly bindToTenant: BindToTenant;
  readonly ingestUpload: IngestUpload;
  readonly ingestUrls: IngestUrls;
  readonly offerUpload: OfferUpload;
  readonly takeInUpload: TakeInUpload;
  readonly findImport: ImportQueries['find'];
  readonly retrieve: RetrieveImage;
  readonly deleteImage: DeleteImage;
  readonly restoreImage: RestoreImage;
  readonly references: References;
  readonly listImages: ImageQueries['list'];
  readonly compareWithImage: CompareWithImage;
  readonly tryPresets: TryPresets;
  readonly findSimilar: FindSimilar;
  readonly findDuplicates: FindDuplicates;
  readonly searchByPicture: SearchByPicture;
  readonly purgeUnused: PurgeUnused;
  readonly purgeDeleted: PurgeDeleted;
  readonly jobs: JobReportQueries;
  readonly retryJobs: RetryJobs;
  readonly usage: UsageQueries;
  readonly checkHealth: CheckHealth;
}
