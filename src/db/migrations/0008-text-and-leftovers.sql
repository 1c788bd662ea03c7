-- Normalises references to NFC, removes bidirectional control characters from file names, and adds the indexes that find
-- expired rows.

DO $$
BEGIN
  -- normalize() needs a database in UTF-8.
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RETURN;
  END IF;

  -- Two spellings of the same name were two references. Keeps the older one.
  WITH spelled AS (
    SELECT id, image_id, row_number() OVER (PARTITION BY image_id, normalize(reference, NFC) ORDER BY id) AS place
    FROM image_references
    WHERE image_id IN (SELECT image_id FROM image_references WHERE reference IS NOT NFC NORMALIZED)),
  merged AS (
    DELETE FROM image_references WHERE id IN (SELECT id FROM spelled WHERE place > 1) RETURNING image_id)
  UPDATE images SET in_use_count = in_use_count - merged_into.count
  FROM (SELECT image_id, count(*) AS count FROM merged GROUP BY image_id) merged_into
  WHERE images.id = merged_into.image_id;
  UPDATE image_references SET reference = normalize(reference, NFC) WHERE reference IS NOT NFC NORMALIZED;

  UPDATE images SET original_filename =
    coalesce(nullif(trim(regexp_replace(original_filename, '[\u202A-\u202E\u2066-\u2069\uFEFF]', '', 'g')), ''), 'unnamed')
  WHERE original_filename ~ '[\u202A-\u202E\u2066-\u2069\uFEFF]';
END $$;

-- Finds expired imports.
CREATE INDEX imports_by_creation ON imports (created_at);

-- Finds expired images whose import never received a file.
CREATE INDEX images_without_content ON images (updated_at)
  WHERE status = 'failed' AND content_hash IS NULL AND deleted_at IS NULL;

-- Approximate time of the last write for a tenant, to within an hour. A tenant without images expires some time after it.
ALTER TABLE tenants ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX tenants_by_use ON tenants (used_at);
CREATE INDEX imports_by_tenant ON imports (tenant_id) WHERE tenant_id IS NOT NULL;
