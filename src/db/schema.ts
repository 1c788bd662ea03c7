import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { FailedAttempt, FailureClass, JobKind, JobState } from '../model/job.ts';
import type { ColorSpace, PictureFormat } from '../model/picture.ts';

/** Tables as `migrations/` made them. Times are written by the database's own clock only. */
export interface Schema {
  tenants: TenantTable;
  images: ImageTable;
  renditions: RenditionTable;
  jobs: JobTable;
  poison_jobs: PoisonJobView;
}

type Clock = ColumnType<Date, never, Date>;
type ClockOrNull = ColumnType<Date | null, never, Date | null>;

interface TenantTable {
  id: GeneratedAlways<number>;
  name: string;
  created_at: Clock;
}

interface ImageTable {
  id: GeneratedAlways<number>;
  uuid: string;
  tenant_id: number;
  status: JobState;
  error: string | null;
  error_code: string | null;
  source_url: string | null;
  original_filename: string | null;
  content_hash: string | null;
  original_key: string | null;
  original_bytes: number | null;
  width: number | null;
  height: number | null;
  format: PictureFormat | null;
  frames: number | null;
  color_space: ColorSpace | null;
  has_alpha: boolean | null;
  bit_depth: number | null;
  duplicate_of: number | null;
  url_hash: Generated<string | null>;
  in_use_count: Generated<number>;
  acknowledged: Generated<boolean>;
  renditions_reused_from: Generated<number | null>;
  damaged_at: ClockOrNull;
  created_at: Clock;
  updated_at: Clock;
  processed_at: ClockOrNull;
  deleted_at: ClockOrNull;
}

interface RenditionTable {
  id: GeneratedAlways<number>;
  image_id: number;
  preset: string;
  recipe: string;
  storage_key: string;
  content_hash: string;
  bytes: number;
  width: number;
  height: number;
  quality: number;
  format: 'jpeg';
  shared: Generated<boolean>;
  created_at: Clock;
}

interface JobTable {
  id: GeneratedAlways<number>;
  kind: JobKind;
  image_id: number | null;
  tenant_id: number;
  content_hash: string | null;
  state: JobState;
  priority: Generated<number>;
  run_at: ColumnType<Date, Date | undefined, Date>;
  lease_token: Generated<number>;
  lease_until: ColumnType<Date | null, Date | null | undefined, Date | null>;
  retries: Generated<number>;
  crashes: Generated<number>;
  lease_losses: Generated<number>;
  failure_class: FailureClass | null;
  failure_stage: string | null;
  error_code: string | null;
  error: string | null;
  history: ColumnType<FailedAttempt[], never, never>;
  created_at: Clock;
  started_at: ColumnType<Date | null, Date | null | undefined, Date | null>;
  finished_at: ClockOrNull;
}

interface PoisonJobView {
  id: number;
  kind: JobKind;
  image_id: number | null;
  tenant_id: number;
  content_hash: string | null;
  failure_class: FailureClass;
  failure_stage: string;
  error_code: string;
  error: string;
  retries: number;
  crashes: number;
  lease_losses: number;
  history: FailedAttempt[];
  created_at: Date;
  failed_at: Date;
}
