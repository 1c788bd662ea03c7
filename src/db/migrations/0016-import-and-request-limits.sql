-- Limits on concurrent downloads from one host, and for one tenant. The host is the one in the image's source URL, which is
-- normalised, so it is in lower case.
CREATE FUNCTION host_of_url(url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT substring(url FROM '^https?://(\[[^]]*\]|[^/:?#]*)');
$$;

-- `held_for` says which limit a pending import is waiting for: 'host …' or 'tenant …'. Held jobs are not in the index of due
-- jobs, so a long queue for one host does not slow down the claims of other jobs.
ALTER TABLE jobs ADD COLUMN source_host text, ADD COLUMN held_for text;

UPDATE jobs SET source_host = host_of_url(images.source_url)
FROM images WHERE images.id = jobs.image_id AND jobs.kind = 'import' AND jobs.state <> 'completed';

DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (kind, priority, turn, id) WHERE state = 'pending' AND held_for IS NULL;
CREATE INDEX jobs_held ON jobs (held_for, priority, turn, id) WHERE state = 'pending' AND held_for IS NOT NULL;
CREATE INDEX jobs_importing ON jobs (id) WHERE state = 'processing' AND kind = 'import';

-- Held jobs do not count as the start of the queue, because they may wait for long after other jobs have been claimed. The
-- place of a job depends on the jobs of all tenants, so a transaction that is bound to a tenant is unbound meanwhile.
CREATE OR REPLACE FUNCTION give_turn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant text := current_setting('vitrine.tenant_id', true);
BEGIN
  IF tenant <> '' THEN PERFORM set_config('vitrine.tenant_id', '', true); END IF;
  NEW.turn := 1 + greatest(
    coalesce((SELECT max(turn) FROM jobs
      WHERE state = 'pending' AND tenant_id = NEW.tenant_id AND kind = NEW.kind AND priority = NEW.priority), 0),
    coalesce((SELECT min(turn) FROM jobs
      WHERE state = 'pending' AND held_for IS NULL AND kind = NEW.kind AND priority = NEW.priority), 1) - 1);
  IF tenant <> '' THEN PERFORM set_config('vitrine.tenant_id', tenant, true); END IF;
  RETURN NEW;
END $$;

-- Numbers of requests that count towards a limit, in windows of a minute. They need not survive a crash of the server.
CREATE UNLOGGED TABLE request_counts (
  window_number bigint NOT NULL,
  bucket text NOT NULL,
  requests bigint NOT NULL,
  PRIMARY KEY (window_number, bucket)
);
