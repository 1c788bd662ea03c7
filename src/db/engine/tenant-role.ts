import type { RunScript } from '../database.ts';
import { isNotGranted, tenantRole } from './tenant-binding.ts';

/**
 * Creates the tenant role if the database user may bypass row-level security, and grants it what is missing on the tables
 * that have row-level security. The role has no access to other tables, so that a table without a policy cannot leak.
 * Changes nothing if the user lacks the permission. Several databases of one server may do this at the same time.
 */
export async function prepareTenantRole(run: RunScript, role = tenantRole): Promise<void> {
  await run(makeScript(role));
}

const makeScript = (role: string) => `
DO $$
DECLARE
  is_superuser boolean;
  relation regclass;
  schema_name text;
BEGIN
  SELECT rolsuper INTO is_superuser FROM pg_roles WHERE rolname = session_user AND (rolsuper OR rolbypassrls);
  IF is_superuser IS NULL THEN RETURN; END IF;
  IF to_regrole('${role}') IS NULL THEN
    BEGIN
      CREATE ROLE ${role} NOLOGIN;
    EXCEPTION
      -- Another database of this server has just created it: roles belong to the server.
      WHEN duplicate_object OR unique_violation THEN NULL;
      WHEN insufficient_privilege THEN RETURN;
    END;
  END IF;
  IF NOT is_superuser AND NOT pg_has_role(session_user, '${role}',
    CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
  THEN
    FOR attempt IN 1..5 LOOP
      BEGIN
        EXECUTE format('GRANT ${role} TO %I', session_user);
        EXIT;
      EXCEPTION
        -- "tuple concurrently updated": another database of this server is granting the role, too.
        WHEN internal_error OR unique_violation THEN PERFORM pg_sleep(0.05 * attempt);
        -- An administrator has to grant it.
        WHEN insufficient_privilege THEN EXIT;
      END;
    END LOOP;
  END IF;
  -- All schemas of the search path, because pgvector may have its own.
  FOREACH schema_name IN ARRAY current_schemas(false) LOOP
    CONTINUE WHEN has_schema_privilege('${role}', schema_name, 'USAGE');
    BEGIN
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO ${role}', schema_name);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
  END LOOP;
  FOR relation IN
    SELECT c.oid FROM pg_class c WHERE ${isNotGranted(`'${role}'`)}
  LOOP
    BEGIN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO ${role}', relation);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
  END LOOP;
END $$`;
