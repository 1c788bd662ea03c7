-- Imports by URL, references, shared renditions, lists for operators, and usage counters.

ALTER TABLE tenants
  -- Set by the first reference. For a tenant that has never used references, every image looks unused.
  ADD COLUMN uses_references boolean NOT NULL DEFAULT false;

ALTER TABLE images
  -- SHA-256 of the normalised URL.
  ADD COLUMN url_hash text,
  -- Number of rows in image_references.
  ADD COLUMN in_use_count integer NOT NULL DEFAULT 0,
  ADD COLUMN renditions_reused_from bigint REFERENCES images (id) ON DELETE SET NULL,
  -- For a deleted image: the number of its renditions and the bytes of its files. They are recorded at deletion, so that a
  -- dry run does not read all rows.
  ADD COLUMN purge_renditions integer,
  ADD COLUMN purge_bytes bigint,
  -- For a deleted image: whether another image has or had the same content or files. What a purge frees then depends on it.
  ADD COLUMN has_relatives boolean NOT NULL DEFAULT false;

DROP INDEX images_deleted;
CREATE INDEX images_deleted ON images (deleted_at, id) INCLUDE (tenant_id, purge_renditions, purge_bytes, has_relatives)
  WHERE deleted_at IS NOT NULL;
CREATE INDEX images_deleted_relatives ON images (deleted_at) WHERE deleted_at IS NOT NULL AND has_relatives;

CREATE INDEX images_by_url ON images (tenant_id, url_hash, id DESC) WHERE deleted_at IS NULL AND url_hash IS NOT NULL;
CREATE INDEX images_unfinished ON images (tenant_id, status, id DESC) WHERE deleted_at IS NULL AND status <> 'completed';
-- Candidates of a purge of unused images.
CREATE INDEX images_unused ON images (tenant_id, id) INCLUDE (created_at)
  WHERE deleted_at IS NULL AND in_use_count = 0 AND content_hash IS NOT NULL AND status IN ('completed', 'failed');
-- Used by ON DELETE SET NULL when the referenced image is removed.
CREATE INDEX images_by_first ON images (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX images_by_donor ON images (renditions_reused_from) WHERE renditions_reused_from IS NOT NULL;

CREATE TABLE image_references (
  id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  image_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  reference text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (image_id, reference)
);
CREATE INDEX image_references_by_age ON image_references (image_id, id DESC);

ALTER TABLE renditions
  -- Whether another image owns the file. The file's bytes then count towards the usage of that image.
  ADD COLUMN shared boolean NOT NULL DEFAULT false;
-- Finds the rows that use a file, before it is removed.
CREATE INDEX renditions_by_key ON renditions (storage_key);
CREATE INDEX renditions_by_creation ON renditions (created_at);

DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (kind, priority, run_at, id) WHERE state = 'pending';
CREATE INDEX jobs_by_state ON jobs (state, id DESC);
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, id DESC);
CREATE INDEX jobs_by_error ON jobs (error_code, id DESC) WHERE error_code IS NOT NULL;

-- An import of many URLs, and its lines.
CREATE TABLE imports (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  -- The only tenant whose images it may contain; NULL means any.
  tenant_id integer REFERENCES tenants (id),
  total integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE import_lines (
  import_id bigint NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
  line integer NOT NULL,
  url text NOT NULL,
  tenant text NOT NULL,
  reference text,
  outcome text NOT NULL CHECK (outcome IN ('new', 'known', 'active', 'refused')),
  image_id bigint REFERENCES images (id) ON DELETE SET NULL,
  error_code text,
  error text,
  PRIMARY KEY (import_id, line)
);
CREATE INDEX import_lines_by_image ON import_lines (image_id) WHERE image_id IS NOT NULL;

-- Usage: images that are not deleted, and the bytes of their files. Each file counts once. Writers only append to
-- usage_deltas, so that they never wait for each other. A sweep adds the deltas to usage_totals.
CREATE TABLE usage_totals (
  tenant_id integer NOT NULL REFERENCES tenants (id),
  -- 'image', or 'rendition' with the preset's name.
  kind text NOT NULL,
  preset text NOT NULL,
  count bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (tenant_id, kind, preset)
);

CREATE TABLE usage_deltas (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id integer NOT NULL,
  kind text NOT NULL,
  preset text NOT NULL,
  count bigint NOT NULL,
  bytes bigint NOT NULL
);

CREATE VIEW usage AS
  SELECT tenant_id, kind, preset, sum(count)::bigint AS count, sum(bytes)::bigint AS bytes
  FROM (SELECT tenant_id, kind, preset, count, bytes FROM usage_totals
        UNION ALL SELECT tenant_id, kind, preset, count, bytes FROM usage_deltas) AS parts
  GROUP BY tenant_id, kind, preset;

-- Bytes of an image's own original: a duplicate shares the file of the first image.
CREATE FUNCTION own_bytes(image images) RETURNS bigint LANGUAGE sql IMMUTABLE AS
  $$ SELECT CASE WHEN image.duplicate_of IS NULL THEN coalesce(image.original_bytes, 0) ELSE 0 END $$;

-- Adds an image and its renditions to the usage (sign 1), or subtracts them (sign -1).
CREATE FUNCTION count_image(image images, sign integer) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT image.tenant_id, 'image', '', sign, sign * own_bytes(image)
  UNION ALL
  SELECT image.tenant_id, 'rendition', preset, sign * count(*), sign * coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM renditions WHERE image_id = image.id GROUP BY preset
$$;

-- Marks deleted images with the same content: from now on, what their purge frees also depends on this image.
-- Selects by content alone first: the planner would otherwise walk the index of all deleted images for every new image.
CREATE FUNCTION note_relatives(image images) RETURNS void LANGUAGE sql AS $$
  UPDATE images SET has_relatives = true
  WHERE id = ANY (ARRAY(SELECT same.id FROM images same
      WHERE same.tenant_id = image.tenant_id AND same.content_hash = image.content_hash))
    AND deleted_at IS NOT NULL AND NOT has_relatives AND id <> image.id
$$;

CREATE FUNCTION count_new_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- It has no renditions yet.
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes) VALUES (NEW.tenant_id, 'image', '', 1, own_bytes(NEW));
  PERFORM note_relatives(NEW);
  RETURN NULL;
END $$;

CREATE FUNCTION count_changed_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.content_hash IS DISTINCT FROM NEW.content_hash THEN
    PERFORM note_relatives(NEW);
  END IF;
  IF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NOT NULL THEN
    -- An import that was deleted before its original arrived.
    UPDATE images SET purge_bytes = coalesce(purge_bytes, 0) + coalesce(NEW.original_bytes, 0) - coalesce(OLD.original_bytes, 0),
      has_relatives = has_relatives OR EXISTS (
        SELECT 1 FROM images other WHERE other.tenant_id = NEW.tenant_id AND other.content_hash = NEW.content_hash
          AND other.id <> NEW.id)
    WHERE id = NEW.id;
  ELSIF OLD.deleted_at IS NULL AND NEW.deleted_at IS NULL THEN
    INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
    VALUES (NEW.tenant_id, 'image', '', 0, own_bytes(NEW) - own_bytes(OLD));
  ELSIF OLD.deleted_at IS NULL THEN
    PERFORM count_image(OLD, -1);
  ELSIF NEW.deleted_at IS NULL THEN
    PERFORM count_image(NEW, 1);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION count_removed_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM count_image(OLD, -1);
  RETURN OLD;
END $$;

CREATE TRIGGER count_new AFTER INSERT ON images
  FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION count_new_image();
CREATE TRIGGER count_changed AFTER UPDATE ON images
  FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.original_bytes IS DISTINCT FROM NEW.original_bytes
    OR OLD.duplicate_of IS DISTINCT FROM NEW.duplicate_of) EXECUTE FUNCTION count_changed_image();
-- BEFORE, because the deletion cascades to the renditions.
CREATE TRIGGER count_removed BEFORE DELETE ON images
  FOR EACH ROW WHEN (OLD.deleted_at IS NULL) EXECUTE FUNCTION count_removed_image();

-- Looks images up row by row: in a join, a planner that overestimates the number of rows would scan all images.
CREATE FUNCTION living_tenant_of(image bigint) RETURNS integer LANGUAGE sql STABLE AS
  $$ SELECT tenant_id FROM images WHERE id = image AND deleted_at IS NULL $$;

CREATE FUNCTION count_new_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant, 'rendition', preset, count(*), coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM (SELECT living_tenant_of(image_id) AS tenant, preset, bytes, shared FROM new_rows) placed
  WHERE tenant IS NOT NULL GROUP BY tenant, preset;
  -- Images that were deleted while their job was running.
  UPDATE images SET
    purge_renditions = coalesce(purge_renditions, 0) + (SELECT count(*) FROM new_rows r WHERE r.image_id = images.id),
    purge_bytes = coalesce(purge_bytes, 0)
      + (SELECT coalesce(sum(r.bytes), 0) FROM new_rows r WHERE r.image_id = images.id),
    has_relatives = has_relatives OR EXISTS (SELECT 1 FROM new_rows r WHERE r.image_id = images.id AND r.shared)
  WHERE id = ANY (ARRAY(SELECT DISTINCT image_id FROM new_rows)) AND deleted_at IS NOT NULL;
  RETURN NULL;
END $$;

CREATE FUNCTION count_changed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant, 'rendition', preset, 0, sum(bytes)
  FROM (SELECT living_tenant_of(image_id) AS tenant, preset, bytes FROM new_rows WHERE NOT shared
        UNION ALL SELECT living_tenant_of(image_id), preset, -bytes FROM old_rows WHERE NOT shared) placed
  WHERE tenant IS NOT NULL GROUP BY tenant, preset HAVING sum(bytes) <> 0;
  RETURN NULL;
END $$;

CREATE FUNCTION count_removed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant, 'rendition', preset, -count(*), -coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM (SELECT living_tenant_of(image_id) AS tenant, preset, bytes, shared FROM old_rows) placed
  WHERE tenant IS NOT NULL GROUP BY tenant, preset;
  RETURN NULL;
END $$;

CREATE TRIGGER count_new AFTER INSERT ON renditions
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_new_renditions();
CREATE TRIGGER count_changed AFTER UPDATE ON renditions
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_changed_renditions();
CREATE TRIGGER count_removed AFTER DELETE ON renditions
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_removed_renditions();

-- Counts the existing rows.
UPDATE images SET
  purge_renditions = (SELECT count(*) FROM renditions WHERE image_id = images.id),
  purge_bytes = coalesce(original_bytes, 0) + (SELECT coalesce(sum(bytes), 0) FROM renditions WHERE image_id = images.id),
  has_relatives = EXISTS (SELECT 1 FROM images other WHERE other.tenant_id = images.tenant_id
    AND other.content_hash = images.content_hash AND other.id <> images.id)
  WHERE deleted_at IS NOT NULL;
INSERT INTO usage_totals (tenant_id, kind, preset, count, bytes)
  SELECT tenant_id, 'image', '', count(*), coalesce(sum(original_bytes) FILTER (WHERE duplicate_of IS NULL), 0)
  FROM images WHERE deleted_at IS NULL GROUP BY tenant_id
  UNION ALL
  SELECT i.tenant_id, 'rendition', r.preset, count(*), coalesce(sum(r.bytes), 0)
  FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL GROUP BY i.tenant_id, r.preset;
