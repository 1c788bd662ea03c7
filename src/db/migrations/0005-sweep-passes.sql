-- When each sweep pass over all data last began: of several processes, only one runs it.
CREATE TABLE sweep_passes (
  name text PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now()
);
