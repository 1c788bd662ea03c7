-- Functions that triggers call for every upload. As SQL functions, they were planned again in each transaction, which took a third
-- of the time of completing an image; PL/pgSQL plans its statements once per connection.

CREATE OR REPLACE FUNCTION note_relatives(image images) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE images SET has_relatives = true
  WHERE id = ANY (ARRAY(SELECT same.id FROM images same
      WHERE same.tenant_id = image.tenant_id AND same.content_hash = image.content_hash))
    AND deleted_at IS NOT NULL AND NOT has_relatives AND id <> image.id;
END $$;

CREATE OR REPLACE FUNCTION count_purge_totals(image_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE images SET
    purge_renditions = (SELECT count(*) FROM renditions WHERE image_id = images.id),
    purge_bytes = coalesce(original_bytes, 0) + (SELECT coalesce(sum(bytes), 0) FROM renditions WHERE image_id = images.id),
    has_relatives = has_relatives OR EXISTS (SELECT 1 FROM renditions WHERE image_id = images.id AND shared)
  WHERE id = ANY (image_ids) AND deleted_at IS NOT NULL;
END $$;

-- A statement that changes no row runs its triggers, too, and so does an insertion that might have replaced rows.
CREATE OR REPLACE FUNCTION count_changed_renditions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM new_rows) THEN
    RETURN NULL;
  END IF;
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
