-- The purge totals of a deleted image (number of renditions and bytes) are counted again whenever its renditions change. Before,
-- only new renditions were added, so that the totals were wrong if a job that was running during the deletion replaced files.

-- Counts the purge totals of those of the images that are deleted.
CREATE FUNCTION count_purge_totals(image_ids bigint[]) RETURNS void LANGUAGE sql AS $$
  UPDATE images SET
    purge_renditions = (SELECT count(*) FROM renditions WHERE image_id = images.id),
    purge_bytes = coalesce(original_bytes, 0) + (SELECT coalesce(sum(bytes), 0) FROM renditions WHERE image_id = images.id),
    has_relatives = has_relatives OR EXISTS (SELECT 1 FROM renditions WHERE image_id = images.id AND shared)
  WHERE id = ANY (image_ids) AND deleted_at IS NOT NULL
$$;

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
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM new_rows));
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
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM new_rows));
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
  PERFORM count_purge_totals(ARRAY(SELECT DISTINCT image_id FROM old_rows));
  RETURN NULL;
END $$;

-- Corrects the totals that are wrong.
SELECT count_purge_totals(ARRAY(SELECT id FROM images WHERE deleted_at IS NOT NULL));
