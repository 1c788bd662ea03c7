-- Fair scheduling: among pending jobs of the same kind and priority, claims alternate between tenants, so that a long queue
-- of one tenant does not delay the others.

ALTER TABLE jobs ADD COLUMN turn bigint NOT NULL DEFAULT 0;

-- Pending jobs keep their order.
UPDATE jobs SET turn = placed.turn
FROM (SELECT id, row_number() OVER (PARTITION BY tenant_id, kind, priority ORDER BY run_at, id) AS turn
      FROM jobs WHERE state = 'pending') placed
WHERE jobs.id = placed.id;

DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (kind, priority, turn, id) WHERE state = 'pending';
CREATE INDEX jobs_last_turn ON jobs (tenant_id, kind, priority, turn) WHERE state = 'pending';

-- A new job comes after the pending jobs of its own tenant, and not before the first job of the queue. (Start-time fair
-- queueing: P. Goyal, H. Vin, H. Cheng, 1996.) Jobs that are inserted concurrently may get the same turn; then the older one
-- is claimed first.
CREATE FUNCTION give_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.turn := 1 + greatest(
    coalesce((SELECT max(turn) FROM jobs
      WHERE state = 'pending' AND tenant_id = NEW.tenant_id AND kind = NEW.kind AND priority = NEW.priority), 0),
    coalesce((SELECT min(turn) FROM jobs
      WHERE state = 'pending' AND kind = NEW.kind AND priority = NEW.priority), 1) - 1);
  RETURN NEW;
END $$;

CREATE TRIGGER give_turn_to_new BEFORE INSERT ON jobs
  FOR EACH ROW WHEN (NEW.state = 'pending') EXECUTE FUNCTION give_turn();
-- A failed job that an operator retries goes to the end. A job that is handed back or retried automatically keeps its turn.
CREATE TRIGGER give_turn_again BEFORE UPDATE ON jobs
  FOR EACH ROW WHEN (OLD.state = 'failed' AND NEW.state = 'pending') EXECUTE FUNCTION give_turn();

-- Whether another living image owns a file. The caller holds the lock of the content. VOLATILE, so that it sees rows that
-- were committed after the calling statement began.
CREATE FUNCTION is_owned_elsewhere(file text, image bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM renditions r
    WHERE r.storage_key = file AND r.image_id <> image AND NOT r.shared
      AND (SELECT i.deleted_at IS NULL FROM images i WHERE i.id = r.image_id));
END $$;
