-- The time when each sweep pass over all data last began. Of several processes, only one runs a pass.
CREATE TABLE sweep_passes (
  name text PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now()
);
