import type { ImageQueries } from '../db/images/images.ts';
import type { ApiKeys } from './access/api-keys.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { Links } from './access/links.ts';
import type { CheckHealth } from './check-health.ts';
import type { CompareWithImage } from './compare-with-image.ts';
import type { DeleteImage, RestoreImage } from './delete-image.ts';
import type { FindDuplicates } from './find-duplicates.ts';
import type { FindSimilar } from './find-similar.ts';
import type { IngestUpload } from './ingest-upload.ts';
import type { FindImport, IngestUrls } from './ingest-urls.ts';
import type { Jobs } from './jobs.ts';
import type { IngestPresigned, PresignUpload } from './presigned-uploads.ts';
import type { PurgeDeleted } from './purge/purge-deleted.ts';
import type { PurgeUnused } from './purge/purge-unused.ts';
import type { References } from './references.ts';
import type { RetrieveImage } from './retrieve-image.ts';
import type { SearchByPicture } from './search-by-picture.ts';
import type { BindToTenant, Usage } from './tenants.ts';
import type { TryPresets } from './try-presets.ts';

/** The use cases that HTTP routes call. */
export interface Services {
  readonly apiKeys: ApiKeys;
  readonly audit: AuditLog;
  readonly links: Pick<Links, 'create'>;
  readonly bindToTenant: BindToTenant;
  readonly ingestUpload: IngestUpload;
  readonly ingestUrls: IngestUrls;
  readonly presignUpload: PresignUpload;
  readonly ingestPresigned: IngestPresigned;
  readonly findImport: FindImport;
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
  readonly jobs: Jobs;
  readonly usage: Usage;
  readonly checkHealth: CheckHealth;
}
