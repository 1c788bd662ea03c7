-- PostgreSQL keeps the plans of PL/pgSQL functions, but parses and plans a function in SQL again for every statement that calls it,
-- unless it can be inlined. Each upload calls two of these functions.

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

CREATE OR REPLACE FUNCTION count_image(image images, sign integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
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
  WHERE image.deleted_at IS NOT NULL;
END $$;
