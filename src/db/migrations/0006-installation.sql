-- Who this database is: the storage carries the same id, so that a wrong folder or bucket is noticed at the start.
CREATE TABLE installation (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- Since then the storage carries the id.
  storage_marked_at timestamptz,
  is_only_row boolean NOT NULL DEFAULT true UNIQUE CHECK (is_only_row)
);
INSERT INTO installation DEFAULT VALUES;
