-- Large tenants are searched with an approximate index of their own, so that no filter can hide their rows from the search.
-- Lists these indexes. The indexes themselves are made on a server that is in use, without a lock: see `vector-indexes.ts`.

CREATE TABLE vector_indexes (
  tenant_id integer NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  space text NOT NULL,
  index_name text NOT NULL UNIQUE,
  -- False while the index is being built.
  is_ready boolean NOT NULL DEFAULT false,
  begun_at timestamptz NOT NULL DEFAULT now(),
  -- Number of embeddings, at the last count.
  vectors bigint NOT NULL,
  -- Number of candidates that a search keeps. The audit raises it if the recall is too low.
  ef_search integer NOT NULL,
  -- Share of the ten best images that the index finds, from 0 to 1, at the last audit.
  recall real,
  audited_at timestamptz,
  PRIMARY KEY (tenant_id, space)
);
SELECT isolate_tenants('vector_indexes', 'tenant_id');
