-- Renditions that were shared before pixels were compared, and descriptors of plain pictures, are made again.

-- An image that shows the files of another content makes its own. A rendition's key names the content that it was made from;
-- renditions_reused_from does not tell, because it is emptied when the donor goes. Deleted images may be restored, so they
-- count too. One whose original is lost keeps what it shows.
INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
SELECT 'derive', i.id, i.tenant_id, i.content_hash, 100, 'pending' FROM images i
WHERE i.status = 'completed' AND i.original_key IS NOT NULL AND i.damaged_at IS NULL
  AND EXISTS (SELECT 1 FROM renditions r WHERE r.image_id = i.id AND position(i.content_hash IN r.storage_key) = 0)
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND jobs.state IN ('pending', 'processing'));

-- The space classic-2 differs from classic-1 only for pictures of one colour. These had no colour: the first 200 numbers are
-- zeros. All other vectors are moved into the new space as they are. Without pgvector there is no such table.
DO $$
BEGIN
  IF to_regclass('embeddings') IS NULL THEN RETURN; END IF;
  INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
  SELECT 'derive', i.id, i.tenant_id, i.content_hash, 100, 'pending'
  FROM embeddings e JOIN images i ON i.tenant_id = e.tenant_id AND i.content_hash = e.content_hash
  WHERE e.space = 'classic-1' AND l2_norm(subvector(e.vector, 1, 200)) = 0
    AND i.status = 'completed' AND i.deleted_at IS NULL AND i.duplicate_of IS NULL
    AND i.original_key IS NOT NULL AND i.damaged_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND jobs.state IN ('pending', 'processing'));
  DELETE FROM embeddings WHERE space = 'classic-1' AND l2_norm(subvector(vector, 1, 200)) = 0;
  UPDATE embeddings SET space = 'classic-2' WHERE space = 'classic-1';
END $$;
