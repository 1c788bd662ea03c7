-- The tier of a pair states how its two pictures are related. The pairs recorded so far were found by similar hashes and
-- equal colours, which is what the tier `reencoded` means.

ALTER TABLE near_duplicates ADD COLUMN tier text NOT NULL DEFAULT 'reencoded'
  CHECK (tier IN ('identical', 'reencoded', 'edited', 'possible', 'variant'));
