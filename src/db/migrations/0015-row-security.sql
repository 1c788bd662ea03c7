-- Separates the tenants a second time, so that a query without a condition on the tenant returns no row of another tenant.
-- A transaction that sets vitrine.tenant_id sees and changes only the rows of that tenant. Without the setting, as in
-- workers, sweeps and requests of administrators, it sees all rows.

-- Finds hashes by their bands. An index on the array cannot be used together with a policy: its operator is not leakproof, so
-- the policy would have to be checked first, for all rows. The comparison of one element is leakproof. The indexes come first,
-- because the other changes lock all tables.
DROP INDEX fingerprints_by_band;
DO $$
BEGIN
  FOR band IN 1..16 LOOP
    EXECUTE format('CREATE INDEX fingerprints_by_band_%s ON fingerprints ((bands[%s]))', band, band);
  END LOOP;
END $$;

-- The tenant to which the transaction is bound; NULL if it is not bound.
CREATE FUNCTION bound_tenant() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS
  $$ SELECT nullif(current_setting('vitrine.tenant_id', true), '')::integer $$;

-- Restricts bound transactions to their tenant's rows of a table. row_tenant is an expression for the tenant of a row. Every
-- table with rows of tenants needs this; a bound transaction has no access to other tables.
--
-- FORCE, because the application usually owns the tables. CASE rather than OR, because the planner assumes that it is true
-- for half of the rows; for OR, it would assume one row in a hundred, and choose plans for that.
CREATE FUNCTION isolate_tenants(relation regclass, row_tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
  EXECUTE format('CREATE POLICY own_tenant ON %s USING (CASE WHEN (SELECT bound_tenant()) IS NULL THEN true
    ELSE %s = (SELECT bound_tenant()) END)', relation, row_tenant);
END $$;

SELECT isolate_tenants('tenants', 'id');
SELECT isolate_tenants(relation, 'tenant_id') FROM unnest(ARRAY[
  'images', 'jobs', 'fingerprints', 'imports', 'usage_totals', 'usage_deltas', 'api_keys', 'audit_log', 'audit_chains'
]::regclass[]) AS relation;

-- A subquery that returns the tenant, rather than EXISTS, so that the planner cannot read all images at once instead.
SELECT isolate_tenants(relation, '(SELECT i.tenant_id FROM images i WHERE i.id = image_id)')
FROM unnest(ARRAY['renditions', 'image_references', 'near_duplicates']::regclass[]) AS relation;
SELECT isolate_tenants('import_lines', '(SELECT i.tenant_id FROM imports i WHERE i.id = import_id)');
-- The owner is "key " and the id of an API key. Other owners are not bound to a tenant.
SELECT isolate_tenants('idempotent_requests', '(SELECT k.tenant_id FROM api_keys k WHERE k.id = substr(owner, 5))');

-- Views run with the rights of their caller. Otherwise, the policies would be checked for the owner of the view.
ALTER VIEW usage SET (security_invoker = true);
ALTER VIEW poison_jobs SET (security_invoker = true);

-- The place of a job in the queue depends on the jobs of all tenants.
CREATE OR REPLACE FUNCTION give_turn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant text := current_setting('vitrine.tenant_id', true);
BEGIN
  IF tenant <> '' THEN PERFORM set_config('vitrine.tenant_id', '', true); END IF;
  NEW.turn := 1 + greatest(
    coalesce((SELECT max(turn) FROM jobs
      WHERE state = 'pending' AND tenant_id = NEW.tenant_id AND kind = NEW.kind AND priority = NEW.priority), 0),
    coalesce((SELECT min(turn) FROM jobs
      WHERE state = 'pending' AND kind = NEW.kind AND priority = NEW.priority), 1) - 1);
  IF tenant <> '' THEN PERFORM set_config('vitrine.tenant_id', tenant, true); END IF;
  RETURN NEW;
END $$;
