-- What is measured in the pixels of a picture when its renditions are made. NULL for images whose renditions were made by an
-- earlier version, until they are made again from the original.

ALTER TABLE images
  -- As the record shows it.
  ADD COLUMN facts jsonb,
  -- What lists can be filtered by, taken from `facts`.
  ADD COLUMN background text CHECK (background IN ('white', 'plain', 'mixed')),
  ADD COLUMN sharpness real,
  ADD COLUMN fill real,
  ADD COLUMN is_upscaled boolean,
  ADD COLUMN is_heavily_compressed boolean,
  -- The intake rules with the action `warn` that the picture broke when it was measured, as [{rule, limit, value}]; NULL if
  -- it broke none.
  ADD COLUMN warnings jsonb;

-- Lists with these filters, and their totals, read the index alone.
CREATE INDEX images_by_facts ON images (tenant_id, id)
  INCLUDE (background, sharpness, fill, is_upscaled, is_heavily_compressed)
  WHERE facts IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX images_with_warnings ON images (tenant_id, id) WHERE warnings IS NOT NULL AND deleted_at IS NULL;
