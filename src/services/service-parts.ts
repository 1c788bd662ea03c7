import type { Config } from '../config.ts';
import type { Queries } from '../db/queries.ts';
import type { FetchPicture } from '../fetcher/fetch-picture.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { EmbeddingSpace } from '../model/fingerprint.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { OperatorKey } from './access/authenticate.ts';
import type { SecretRing } from './access/secret-ring.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import type { StorageHealth } from './storage-health.ts';

/** The components that services are built on. */
export interface ServiceParts {
  readonly queries: Omit<Queries, 'expiredRows' | 'recounting'>;
  /** Whether no other process uses the database. */
  readonly isOnlyProcess: boolean;
  readonly decoders: DecoderPool;
  /** The space of the embeddings that the decoders compute. */
  readonly space: EmbeddingSpace;
  readonly storage: Storage;
  readonly storageHealth: Pick<StorageHealth, 'assert'>;
  readonly staging: Staging;
  readonly queue: WorkQueue;
  readonly presets: PresetsInForce;
  readonly fetchPicture: FetchPicture;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly metrics: Pick<Metrics, 'recordJob' | 'recordRendition'>;
  /** The secrets that hash API keys and sign links. */
  readonly ring: SecretRing;
  /** Keys with all rights that are not stored in the database. */
  readonly operatorKeys: readonly OperatorKey[];
  readonly logger: Logger;
  /** Versions to report in health checks, by name. */
  readonly versions: Readonly<Record<string, string>>;
}

/** The configuration sections that services use. */
export type ServiceConfig = Pick<
  Config,
  | 'uploads'
  | 'overload'
  | 'quotas'
  | 'imports'
  | 'similarity'
  | 'purge'
  | 'worker'
  | 'storage'
  | 'exposureWarnings'
> & {
  readonly server: Pick<Config['server'], 'inlineMs' | 'requestMs' | 'readCacheBytes' | 'isExposed'>;
  readonly access: Pick<Config['access'], 'mode' | 'delivery'>;
};
