-- Renditions in several formats and densities, made at intake or on request, and old ones beside new ones.

ALTER TABLE images
  -- The point that `cover` keeps in view, as fractions of the upright picture.
  ADD COLUMN focus_x real CHECK (focus_x BETWEEN 0 AND 1),
  ADD COLUMN focus_y real CHECK (focus_y BETWEEN 0 AND 1),
  ADD CONSTRAINT images_focus CHECK ((focus_x IS NULL) = (focus_y IS NULL)),
  -- SHA-256 of the metadata that renditions keep; empty if there is none, NULL if the picture has not been examined.
  ADD COLUMN kept_metadata text;

ALTER TABLE renditions
  ADD COLUMN density smallint NOT NULL DEFAULT 1,
  -- Whether records list the rendition: the first format of its preset, in density 1.
  ADD COLUMN is_listed boolean NOT NULL DEFAULT true,
  -- Made when it was first requested. May be removed to save space, because it is made again on request.
  ADD COLUMN is_on_request boolean NOT NULL DEFAULT false,
  -- Replaced by a rendition with another recipe. It is still served at its own address, and removed after a grace period.
  ADD COLUMN superseded_at timestamptz,
  -- The hour in which it was last served from storage. Only set for renditions made on request.
  ADD COLUMN served_at timestamptz,
  DROP CONSTRAINT renditions_image_id_preset_key;
CREATE UNIQUE INDEX renditions_current ON renditions (image_id, preset, format, density) WHERE superseded_at IS NULL;
CREATE UNIQUE INDEX renditions_by_recipe ON renditions (image_id, preset, format, density, recipe);
CREATE UNIQUE INDEX renditions_listed ON renditions (image_id, preset) WHERE is_listed AND superseded_at IS NULL;
CREATE INDEX renditions_superseded ON renditions (superseded_at) WHERE superseded_at IS NOT NULL;
CREATE INDEX renditions_by_last_use ON renditions (served_at, id) INCLUDE (bytes, shared) WHERE is_on_request;

-- The variant that a process is making on request, so that other processes wait for it instead of making it too.
CREATE TABLE variant_claims (
  image_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  preset text NOT NULL,
  format text NOT NULL,
  density smallint NOT NULL,
  recipe text NOT NULL,
  -- Distinguishes the claims of processes.
  token uuid NOT NULL,
  -- Until then, no other process makes the variant. The process that makes it extends the time.
  claimed_until timestamptz NOT NULL,
  -- Why the last attempt failed; NULL while an attempt is running.
  error_code text,
  error text,
  -- Number of failed attempts in a row.
  failures smallint NOT NULL DEFAULT 0,
  PRIMARY KEY (image_id, preset, format, density, recipe)
);
CREATE INDEX variant_claims_by_end ON variant_claims (claimed_until);
SELECT isolate_tenants('variant_claims', '(SELECT i.tenant_id FROM images i WHERE i.id = image_id)');

-- Jobs that make variants of completed images.
ALTER TABLE jobs
  -- The variants to make, as an array of {preset, format, density}; NULL means those of the campaign.
  ADD COLUMN variants jsonb,
  ADD COLUMN campaign_id bigint;
DROP INDEX jobs_one_active;
CREATE UNIQUE INDEX jobs_one_active ON jobs (image_id) WHERE state IN ('pending', 'processing') AND kind <> 'render';
CREATE UNIQUE INDEX jobs_one_active_render ON jobs (image_id, coalesce(campaign_id, 0), md5(coalesce(variants::text, '')))
  WHERE state IN ('pending', 'processing') AND kind = 'render';

-- Usage per format. The kind 'rendition' counts the renditions that records list, and 'variant' all others.
ALTER TABLE usage_deltas ADD COLUMN format text NOT NULL DEFAULT '';
ALTER TABLE usage_totals ADD COLUMN format text NOT NULL DEFAULT '', DROP CONSTRAINT usage_totals_pkey;
UPDATE usage_deltas SET format = 'jpeg' WHERE kind = 'rendition';
UPDATE usage_totals SET format = 'jpeg' WHERE kind = 'rendition';
ALTER TABLE usage_totals ADD PRIMARY KEY (tenant_id, kind, preset, format);
CREATE OR REPLACE VIEW usage WITH (security_invoker = true) AS
  SELECT tenant_id, kind, preset, sum(count)::bigint AS count, sum(bytes)::bigint AS bytes, format
  FROM (SELECT tenant_id, kind, preset, format, count, bytes FROM usage_totals
        UNION ALL SELECT tenant_id, kind, preset, format, count, bytes FROM usage_deltas) AS parts
  GROUP BY tenant_id, kind, preset, format;

-- The counter of a rendition.
CREATE FUNCTION counter_kind(is_listed boolean, superseded_at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT CASE WHEN is_listed AND superseded_at IS NULL THEN 'rendition' ELSE 'variant' END $$;

CREATE OR REPLACE FUNCTION count_image(image images, sign integer) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_deltas (tenant_id, kind, preset, format, count, bytes)
  SELECT image.tenant_id, 'image', '', '', sign, sign * own_bytes(image) WHERE image.deleted_at IS NULL
  UNION ALL
  SELECT image.tenant_id, counter_kind(is_listed, superseded_at), preset, format, sign * count(*),
    sign * coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM renditions WHERE image_id = image.id AND image.deleted_at IS NULL
  GROUP BY counter_kind(is_listed, superseded_at), preset, format
  UNION ALL
  SELECT image.tenant_id, 'deleted', '', '', sign,
    sign * (own_bytes(image) + coalesce((SELECT sum(bytes) FROM renditions WHERE image_id = image.id), 0))
  WHERE image.deleted_at IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION count_new_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, format, count, bytes)
  SELECT tenant_id, counter_kind(is_listed, superseded_at), preset, format, count(*),
    coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM new_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NULL GROUP BY tenant_id, counter_kind(is_listed, superseded_at), preset, format
  UNION ALL
  SELECT tenant_id, 'deleted', '', '', 0, sum(bytes)
  FROM new_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NOT NULL GROUP BY tenant_id;
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM new_rows));
  RETURN NULL;
END $$;

-- A rendition that is superseded or no longer listed moves to another counter.
CREATE OR REPLACE FUNCTION count_changed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, format, count, bytes)
  SELECT tenant_id, kind, preset, format, sum(count), sum(bytes)
  FROM (
    SELECT tenant_id,
      CASE WHEN deleted_at IS NULL THEN counter_kind(is_listed, superseded_at) ELSE 'deleted' END AS kind,
      CASE WHEN deleted_at IS NULL THEN preset ELSE '' END AS preset,
      CASE WHEN deleted_at IS NULL THEN format ELSE '' END AS format,
      CASE WHEN deleted_at IS NULL THEN sign ELSE 0 END AS count,
      CASE WHEN deleted_at IS NULL AND shared THEN 0 ELSE sign * bytes END AS bytes
    FROM (SELECT image_id, preset, format, is_listed, superseded_at, shared, bytes, 1 AS sign FROM new_rows
          UNION ALL SELECT image_id, preset, format, is_listed, superseded_at, shared, bytes, -1 FROM old_rows) changes
    CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image) counted
  GROUP BY tenant_id, kind, preset, format HAVING sum(count) <> 0 OR sum(bytes) <> 0;
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM new_rows));
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_removed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, format, count, bytes)
  SELECT tenant_id, counter_kind(is_listed, superseded_at), preset, format, -count(*),
    -coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM old_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NULL GROUP BY tenant_id, counter_kind(is_listed, superseded_at), preset, format
  UNION ALL
  SELECT tenant_id, 'deleted', '', '', 0, -sum(bytes)
  FROM old_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NOT NULL GROUP BY tenant_id;
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM old_rows));
  RETURN NULL;
END $$;
