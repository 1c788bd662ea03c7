import type { ImageQueries } from '../db/images.ts';
import type { UsageQueries } from '../db/usage.ts';
import type { CheckHealth } from './check-health.ts';
import type { DeleteImage } from './delete-image.ts';
import type { IngestUpload } from './ingest-upload.ts';
import type { RetrieveImage } from './retrieve-image.ts';

/** The use cases that the API surfaces offer. */
export interface Services {
  readonly ingestUpload: IngestUpload;
  readonly retrieve: RetrieveImage;
  readonly deleteImage: DeleteImage;
  readonly listImages: ImageQueries['list'];
  readonly usage: UsageQueries;
  readonly checkHealth: CheckHealth;
}
