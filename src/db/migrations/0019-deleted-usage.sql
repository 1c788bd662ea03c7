-- Counts deleted images, which use disk space until they are purged, so that a quota can limit them. The counter has the kind
-- 'deleted' and no preset. It is not part of the usage.

-- Used by the recount.
CREATE INDEX images_deleted_by_tenant ON images (tenant_id, id DESC) WHERE deleted_at IS NOT NULL;

-- Adds an image and its renditions to the counters (sign 1), or subtracts them (sign -1). For deleted images, all renditions are
-- counted, even if another image owns their files: that image may be purged first.
CREATE OR REPLACE FUNCTION count_image(image images, sign integer) RETURNS void LANGUAGE sql AS $$
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT image.tenant_id, 'image', '', sign, sign * own_bytes(image) WHERE image.deleted_at IS NULL
  UNION ALL
  SELECT image.tenant_id, 'rendition', preset, sign * count(*), sign * coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM renditions WHERE image_id = image.id AND image.deleted_at IS NULL GROUP BY preset
  UNION ALL
  SELECT image.tenant_id, 'deleted', '', sign,
    sign * (own_bytes(image) + coalesce((SELECT sum(bytes) FROM renditions WHERE image_id = image.id), 0))
  WHERE image.deleted_at IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION count_new_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- It has no renditions yet.
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  VALUES (NEW.tenant_id, CASE WHEN NEW.deleted_at IS NULL THEN 'image' ELSE 'deleted' END, '', 1, own_bytes(NEW));
  PERFORM note_relatives(NEW);
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_changed_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.content_hash IS DISTINCT FROM NEW.content_hash THEN
    PERFORM note_relatives(NEW);
  END IF;
  IF (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) THEN
    PERFORM count_image(OLD, -1);
    PERFORM count_image(NEW, 1);
  ELSE
    INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
    VALUES (NEW.tenant_id, CASE WHEN NEW.deleted_at IS NULL THEN 'image' ELSE 'deleted' END, '', 0,
      own_bytes(NEW) - own_bytes(OLD));
  END IF;
  IF OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NOT NULL THEN
    -- An import that was deleted before its original arrived.
    UPDATE images SET purge_bytes = coalesce(purge_bytes, 0) + coalesce(NEW.original_bytes, 0) - coalesce(OLD.original_bytes, 0),
      has_relatives = has_relatives OR EXISTS (
        SELECT 1 FROM images other WHERE other.tenant_id = NEW.tenant_id AND other.content_hash = NEW.content_hash
          AND other.id <> NEW.id)
    WHERE id = NEW.id;
  END IF;
  RETURN NULL;
END $$;

-- The conditions of these triggers excluded deleted images.
DROP TRIGGER count_new ON images;
CREATE TRIGGER count_new AFTER INSERT ON images FOR EACH ROW EXECUTE FUNCTION count_new_image();
DROP TRIGGER count_removed ON images;
CREATE TRIGGER count_removed BEFORE DELETE ON images FOR EACH ROW EXECUTE FUNCTION count_removed_image();

-- The functions below look images up row by row (OFFSET 0): in a join, a planner that overestimates the number of rows would
-- scan all images.
CREATE OR REPLACE FUNCTION count_new_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant_id, 'rendition', preset, count(*), coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM new_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NULL GROUP BY tenant_id, preset
  UNION ALL
  SELECT tenant_id, 'deleted', '', 0, sum(bytes)
  FROM new_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NOT NULL GROUP BY tenant_id;
  -- Images that were deleted while their job was running.
  UPDATE images SET
    purge_renditions = coalesce(purge_renditions, 0) + (SELECT count(*) FROM new_rows r WHERE r.image_id = images.id),
    purge_bytes = coalesce(purge_bytes, 0)
      + (SELECT coalesce(sum(r.bytes), 0) FROM new_rows r WHERE r.image_id = images.id),
    has_relatives = has_relatives OR EXISTS (SELECT 1 FROM new_rows r WHERE r.image_id = images.id AND r.shared)
  WHERE id = ANY (ARRAY(SELECT DISTINCT image_id FROM new_rows)) AND deleted_at IS NOT NULL;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_changed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant_id, kind, preset, 0, sum(bytes)
  FROM (
    SELECT tenant_id, CASE WHEN deleted_at IS NULL THEN 'rendition' ELSE 'deleted' END AS kind,
      CASE WHEN deleted_at IS NULL THEN preset ELSE '' END AS preset,
      CASE WHEN deleted_at IS NULL AND shared THEN 0 ELSE bytes END AS bytes
    FROM (SELECT image_id, preset, shared, bytes FROM new_rows
          UNION ALL SELECT image_id, preset, shared, -bytes FROM old_rows) changes
    CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image) counted
  GROUP BY tenant_id, kind, preset HAVING sum(bytes) <> 0;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_removed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes)
  SELECT tenant_id, 'rendition', preset, -count(*), -coalesce(sum(bytes) FILTER (WHERE NOT shared), 0)
  FROM old_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NULL GROUP BY tenant_id, preset
  UNION ALL
  SELECT tenant_id, 'deleted', '', 0, -sum(bytes)
  FROM old_rows CROSS JOIN LATERAL (SELECT tenant_id, deleted_at FROM images WHERE id = image_id OFFSET 0) image
  WHERE deleted_at IS NOT NULL GROUP BY tenant_id;
  RETURN NULL;
END $$;

DROP FUNCTION living_tenant_of;

-- Counts the existing rows.
INSERT INTO usage_totals (tenant_id, kind, preset, count, bytes)
  SELECT tenant_id, 'deleted', '', count(*), sum(own_bytes(images) + coalesce(
    (SELECT sum(bytes) FROM renditions WHERE image_id = images.id), 0))
  FROM images WHERE deleted_at IS NOT NULL GROUP BY tenant_id;
