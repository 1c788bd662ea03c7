-- Identity of this database. Storage is marked with the same id, so that startup with a wrong folder or bucket fails.
CREATE TABLE installation (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- When storage was marked with the id.
  storage_marked_at timestamptz,
  is_only_row boolean NOT NULL DEFAULT true UNIQUE CHECK (is_only_row)
);
INSERT INTO installation DEFAULT VALUES;
