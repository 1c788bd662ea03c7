-- Queues images that may have been decoded incorrectly: high bit depths, TIFF channels, premultiplied AVIF, GIF frames that
-- are smaller than their screen. All images of these kinds are included, because the rows do not show which are wrong. An
-- image that cannot be decoded correctly now fails with the reason.
INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
SELECT 'derive', i.id, i.tenant_id, i.content_hash, 100, 'pending' FROM images i
WHERE i.status = 'completed' AND i.original_key IS NOT NULL AND i.damaged_at IS NULL
  AND (i.bit_depth > 8 OR i.format IN ('tiff', 'avif', 'gif'))
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.image_id = i.id AND jobs.state IN ('pending', 'processing'));
