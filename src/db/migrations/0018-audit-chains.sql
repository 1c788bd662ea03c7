-- Name of the chain's tenant, as in its last sealed row: the log and its chain outlive the tenant.
ALTER TABLE audit_chains ADD COLUMN tenant text;
CREATE INDEX audit_chains_by_tenant ON audit_chains (tenant);

CREATE INDEX audit_log_by_actor ON audit_log ((CASE WHEN key_id IS NULL THEN actor ELSE key_id END), id DESC);
CREATE INDEX audit_log_by_target ON audit_log (target, id DESC) WHERE target IS NOT NULL;
CREATE INDEX audit_log_by_action ON audit_log (action, id DESC);

-- Rows can only be sealed. They can be removed only up to the checkpoint of their chain, which retention moves first.
CREATE OR REPLACE FUNCTION protect_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (
    SELECT FROM audit_chains
    WHERE tenant_id = coalesce(OLD.tenant_id, 0) AND checkpoint_position >= OLD.position)
  THEN RETURN OLD; END IF;
  IF TG_OP = 'UPDATE' AND OLD.position IS NULL
    AND (OLD.id, OLD.at, OLD.actor, OLD.action) = (NEW.id, NEW.at, NEW.actor, NEW.action)
    AND (OLD.tenant_id, OLD.tenant, OLD.key_id, OLD.target, OLD.details)
      IS NOT DISTINCT FROM (NEW.tenant_id, NEW.tenant, NEW.key_id, NEW.target, NEW.details)
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'The audit log cannot be changed.';
END $$;

-- A chain only grows. Its checkpoint only moves forward, to a sealed row.
CREATE FUNCTION protect_audit_chains() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.tenant_id = NEW.tenant_id
    AND (NEW.last_position > OLD.last_position
      OR (NEW.last_position, NEW.last_hash) = (OLD.last_position, OLD.last_hash))
    AND ((NEW.checkpoint_position, NEW.checkpoint_hash) = (OLD.checkpoint_position, OLD.checkpoint_hash)
      OR NEW.checkpoint_position > OLD.checkpoint_position AND EXISTS (
        SELECT FROM audit_log
        WHERE CASE WHEN tenant_id IS NULL THEN 0 ELSE tenant_id END = NEW.tenant_id AND position = NEW.checkpoint_position
          AND hash = NEW.checkpoint_hash))
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'The chains of the audit log cannot be changed.';
END $$;
CREATE TRIGGER audit_chains_only_grow BEFORE UPDATE OR DELETE ON audit_chains
  FOR EACH ROW EXECUTE FUNCTION protect_audit_chains();

CREATE FUNCTION reject_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'The audit log cannot be changed.';
END $$;
CREATE TRIGGER audit_log_is_not_truncated BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION reject_truncation();
CREATE TRIGGER audit_chains_are_not_truncated BEFORE TRUNCATE ON audit_chains
  FOR EACH STATEMENT EXECUTE FUNCTION reject_truncation();

-- Also in sessions that switch triggers off with session_replication_role.
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_is_append_only;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_is_not_truncated;
ALTER TABLE audit_chains ENABLE ALWAYS TRIGGER audit_chains_only_grow;
ALTER TABLE audit_chains ENABLE ALWAYS TRIGGER audit_chains_are_not_truncated;
