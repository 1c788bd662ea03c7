-- Tenants, images, renditions and jobs. The application generates `uuid` (version 7): PostgreSQL 17 has no uuidv7().

CREATE TABLE tenants (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE images (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  tenant_id integer NOT NULL REFERENCES tenants (id),
  status text NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
  error text,
  error_code text,
  source_url text,
  original_filename text,
  content_hash text CHECK (content_hash ~ '^[0-9a-f]{64}$'),
  original_key text,
  original_bytes bigint,
  width integer,
  height integer,
  format text,
  frames integer,
  color_space text,
  has_alpha boolean,
  bit_depth smallint,
  duplicate_of bigint REFERENCES images (id) ON DELETE SET NULL,
  -- The original was found missing or changed in storage. The row stays: it is the only record of the lost file.
  damaged_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  deleted_at timestamptz
);

-- Ensures that a tenant has each content only once. If two uploads race, the second one returns the image of the first.
CREATE UNIQUE INDEX images_one_living_content ON images (tenant_id, content_hash)
  WHERE deleted_at IS NULL AND duplicate_of IS NULL;
-- Finds all images with a content, including deleted ones. Used by the sweeper, and before a file is removed.
CREATE INDEX images_by_content ON images (tenant_id, content_hash);
CREATE INDEX images_by_tenant ON images (tenant_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX images_by_status ON images (status, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX images_by_creation ON images (created_at) WHERE deleted_at IS NULL;
CREATE INDEX images_deleted ON images (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE renditions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  image_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  preset text NOT NULL,
  recipe text NOT NULL,
  storage_key text NOT NULL,
  content_hash text NOT NULL,
  bytes integer NOT NULL,
  width integer NOT NULL,
  height integer NOT NULL,
  quality smallint NOT NULL,
  format text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (image_id, preset)
);

CREATE TABLE jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  -- The job outlives its image, because the history of a file that crashed the decoder is evidence.
  image_id bigint REFERENCES images (id) ON DELETE SET NULL,
  tenant_id integer NOT NULL REFERENCES tenants (id),
  content_hash text,
  state text NOT NULL CHECK (state IN ('pending', 'processing', 'completed', 'failed')),
  priority smallint NOT NULL DEFAULT 100,
  run_at timestamptz NOT NULL DEFAULT now(),
  lease_token bigint NOT NULL DEFAULT 0,
  lease_until timestamptz,
  retries smallint NOT NULL DEFAULT 0,
  crashes smallint NOT NULL DEFAULT 0,
  lease_losses smallint NOT NULL DEFAULT 0,
  failure_class text,
  failure_stage text,
  error_code text,
  error text,
  history jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz
);
CREATE INDEX jobs_due ON jobs (priority, run_at, id) WHERE state = 'pending';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'processing';
CREATE INDEX jobs_by_image ON jobs (image_id);
CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE finished_at IS NOT NULL;

-- Permanently failed jobs with the history of their attempts.
CREATE VIEW poison_jobs AS
  SELECT id, kind, image_id, tenant_id, content_hash, failure_class, failure_stage, error_code, error,
         retries, crashes, lease_losses, history, created_at, finished_at AS failed_at
  FROM jobs
  WHERE state = 'failed';
