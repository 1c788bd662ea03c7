-- When each pass of the sweep over all data began last: of several processes one makes it.
CREATE TABLE sweep_passes (
  name text PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now()
);
