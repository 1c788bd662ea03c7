-- The presets that all processes use, and campaigns that make renditions again after a change.

-- The presets in force. A server registers its presets at its start; workers and running servers follow.
CREATE TABLE presets_in_force (
  version integer NOT NULL,
  -- All presets with all their options, in the order of PRESETS.
  presets jsonb NOT NULL CHECK (jsonb_typeof(presets) = 'array'),
  -- Version of the program that registered them.
  registered_by text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  is_only_row boolean NOT NULL DEFAULT true UNIQUE CHECK (is_only_row)
);

CREATE TABLE campaigns (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- NULL for the images of all tenants.
  tenant_id integer REFERENCES tenants (id) ON DELETE CASCADE,
  presets text[] NOT NULL CHECK (presets <> '{}'),
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'cancelled', 'completed')),
  -- Images and files that were outdated or missing when the campaign was created.
  images bigint NOT NULL,
  files bigint NOT NULL,
  -- Every image up to this id that needs a job has got one.
  last_image_id bigint NOT NULL DEFAULT 0,
  -- Whether every image that needs a job has got one.
  has_all_jobs boolean NOT NULL DEFAULT false,
  -- Number of jobs that were added, without those that were taken back when the campaign was paused.
  jobs bigint NOT NULL DEFAULT 0,
  -- Numbers of jobs when the last one had ended; NULL before. The jobs themselves are removed some time later.
  done bigint,
  failed bigint,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CONSTRAINT campaigns_counts CHECK ((done IS NULL) = (failed IS NULL))
);
CREATE INDEX campaigns_open ON campaigns (id) WHERE done IS NULL;
SELECT isolate_tenants('campaigns', 'tenant_id');

ALTER TABLE jobs ADD FOREIGN KEY (campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE;
-- An image is processed once in a campaign.
CREATE UNIQUE INDEX jobs_one_per_campaign ON jobs (campaign_id, image_id)
  WHERE campaign_id IS NOT NULL AND image_id IS NOT NULL;
CREATE INDEX jobs_by_campaign ON jobs (campaign_id, state, finished_at) WHERE campaign_id IS NOT NULL;
