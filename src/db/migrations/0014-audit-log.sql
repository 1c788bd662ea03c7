-- Who did what. A row is written in the transaction of the action itself. Within a second, a background task seals it:
-- it appends the row to the hash chain of its tenant, so that a later change can be detected.
CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- NULL for actions on the whole installation. No foreign key: the log outlives the tenant.
  tenant_id integer,
  tenant text,
  at timestamptz NOT NULL DEFAULT now(),
  -- Who did it, such as "key 0123456789abcdef (import robot)".
  actor text NOT NULL,
  key_id text,
  -- `resource.verb`, such as "image.delete".
  action text NOT NULL,
  -- The image (UUID), key or tenant that was acted on.
  target text,
  details jsonb NOT NULL DEFAULT '{}',
  -- Place in the chain of the tenant, from 1. NULL until the row is sealed.
  position bigint,
  -- SHA-256 of the previous hash in the chain and of this row.
  hash bytea,
  CHECK ((position IS NULL) = (hash IS NULL))
);
-- CASE instead of coalesce(), which is not leakproof, so that an index on it could not be used together with a policy.
CREATE UNIQUE INDEX audit_log_by_position ON audit_log ((CASE WHEN tenant_id IS NULL THEN 0 ELSE tenant_id END), position)
  WHERE position IS NOT NULL;
CREATE INDEX audit_log_unsealed ON audit_log (id) WHERE position IS NULL;
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id, id DESC);
CREATE INDEX audit_log_by_time ON audit_log (at);

-- The end of each chain, which detects rows that were removed from it, and the row from which verification starts once
-- retention has removed older ones.
CREATE TABLE audit_chains (
  -- 0 for the chain of the installation.
  tenant_id integer PRIMARY KEY,
  last_position bigint NOT NULL,
  last_hash bytea NOT NULL,
  checkpoint_position bigint NOT NULL DEFAULT 0,
  checkpoint_hash bytea NOT NULL DEFAULT '\x'
);

-- Rows can only be sealed, and only retention removes them.
CREATE FUNCTION protect_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('vitrine.audit_retention', true) = 'on' THEN RETURN OLD; END IF;
  IF TG_OP = 'UPDATE' AND OLD.position IS NULL
    AND (OLD.id, OLD.at, OLD.actor, OLD.action) = (NEW.id, NEW.at, NEW.actor, NEW.action)
    AND (OLD.tenant_id, OLD.tenant, OLD.key_id, OLD.target, OLD.details)
      IS NOT DISTINCT FROM (NEW.tenant_id, NEW.tenant, NEW.key_id, NEW.target, NEW.details)
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'The audit log cannot be changed.';
END $$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION protect_audit_log();
