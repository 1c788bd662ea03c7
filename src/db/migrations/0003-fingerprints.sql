-- Fingerprints: one for each content of a tenant, so that exact copies are compared only once. Embeddings have their own
-- table, which `vectors.ts` creates if pgvector is available.

CREATE TABLE fingerprints (
  tenant_id integer NOT NULL REFERENCES tenants (id),
  content_hash text NOT NULL,
  version smallint NOT NULL,
  hash bit(256) NOT NULL,
  quality smallint NOT NULL,
  aspect real NOT NULL,
  -- Stored outside the row, because only candidates need it, and uncompressed, because it does not compress.
  thumbnail bytea NOT NULL,
  -- 16 keys, each made of the tenant, the number of a band and its 16 bits. Hashes that differ in up to 15 bits share a key.
  bands bigint[] NOT NULL,
  PRIMARY KEY (tenant_id, content_hash)
);
ALTER TABLE fingerprints ALTER COLUMN thumbnail SET STORAGE EXTERNAL;
-- Has no pending list, because every search would have to read it.
CREATE INDEX fingerprints_by_band ON fingerprints USING gin (bands) WITH (fastupdate = off);

-- Pairs that were found when the later image was derived.
CREATE TABLE near_duplicates (
  image_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  match_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  distance smallint NOT NULL,
  difference real NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (image_id, match_id)
);
CREATE INDEX near_duplicates_by_match ON near_duplicates (match_id);
