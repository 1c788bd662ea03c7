-- Queues images to be derived again: those whose renditions were shared before pixels were compared, and those of a single
-- colour, which need new embeddings.

-- An image that uses the files of a different content gets its own renditions. The key of a rendition contains the content
-- hash of the original that it was made from. The column renditions_reused_from is not reliable, because it is cleared when
-- the donor is removed. Deleted images are included, because they may be restored. An image whose original is lost keeps its
-- renditions.
INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
SELECT 'derive', i.id, i.tenant_id, i.content_hash, 100, 'pending' FROM images i
WHERE i.status = 'completed' AND i.original_key IS NOT NULL AND i.damaged_at IS NULL
  AND EXISTS (SELECT 1 FROM renditions r WHERE r.image_id = i.id AND position(i.content_hash IN r.storage_key) = 0)
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND jobs.state IN ('pending', 'processing'));

-- The space classic-2 differs from classic-1 only for pictures of one colour. Their first 200 dimensions, which describe
-- colour, were zero. All other vectors move to the new space unchanged. Without pgvector the table does not exist.
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
