import { escapeLiteral } from 'pg';
import type { RunScript } from '../database.ts';
import type { BindStatement } from './tenant-query.ts';

/** The role in which bound transactions run if row-level security does not apply to the database user itself. */
export const tenantRole = 'vitrine_tenant';

/**
 * How a transaction is bound to a tenant:
 * - `user`: row-level security applies to the database user, so it is enough to set the tenant.
 * - `role`: the database user may bypass row-level security (a superuser, or a user with `BYPASSRLS`). The transaction also
 *   switches to a role that may not.
 * - `none`: the database user may bypass row-level security and cannot switch to that role. Only the conditions in the
 *   queries separate the tenants.
 */
export type TenantBinding =
  | { readonly by: 'user' }
  | {
      readonly by: 'role';
      /** Set if the user's search path contains a schema of its own, which the role would not find. */
      readonly searchPath: string | null;
    }
  | { readonly by: 'none'; readonly reason: string };

/** Condition on `pg_class c` that is true for tables with row-level security, and views on them, that a role cannot use. */
export const isNotGranted = (role: string) => `
  c.relnamespace = current_schema()::regnamespace
  AND (c.relrowsecurity OR c.relkind = 'v' AND 'security_invoker=true' = ANY (c.reloptions))
  AND NOT (has_table_privilege(${role}, c.oid, 'SELECT') AND has_table_privilege(${role}, c.oid, 'INSERT')
    AND has_table_privilege(${role}, c.oid, 'UPDATE') AND has_table_privilege(${role}, c.oid, 'DELETE'))`;

/** Finds out how transactions of this database user are bound to a tenant. The schema must be up to date. */
export async function detectTenantBinding(run: RunScript): Promise<TenantBinding> {
  const [row] = await run(`
    SELECT row_security_active('images') AS "isActive", session_user AS user,
      CASE WHEN r.oid IS NULL THEN 'does not exist'
        WHEN r.rolsuper OR r.rolbypassrls THEN 'may bypass row-level security itself'
        WHEN NOT pg_has_role(session_user, r.oid,
          CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
          THEN 'is not granted to this user'
        WHEN EXISTS (SELECT FROM pg_class c WHERE ${isNotGranted('r.oid')}) THEN 'lacks privileges on some tables' END AS obstacle,
      CASE WHEN session_user = ANY (current_schemas(false)) THEN (
        SELECT string_agg(quote_ident(name), ', ' ORDER BY place)
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS schemas (name, place)) END AS "searchPath"
    FROM (SELECT) AS one_row LEFT JOIN pg_roles r ON r.rolname = '${tenantRole}'`);
  const { isActive, obstacle, searchPath, user } = row as unknown as DetectedRow;
  if (isActive) return { by: 'user' };
  if (obstacle === null) return { by: 'role', searchPath };
  return {
    by: 'none',
    reason: `the database user ${JSON.stringify(user)} may bypass row-level security, and the role ${tenantRole} ${obstacle}`,
  };
}

interface DetectedRow {
  readonly isActive: boolean;
  readonly user: string;
  /** Why the user cannot switch to the role, as a predicate. */
  readonly obstacle: string | null;
  readonly searchPath: string | null;
}

/** Returns the statement that binds a transaction to a tenant. */
export function makeBindStatement(
  binding: Exclude<TenantBinding, { by: 'none' }>,
  tenantId: number,
): BindStatement {
  const otherSettings =
    binding.by === 'user'
      ? ''
      : `, set_config('role', '${tenantRole}', true)${
          binding.searchPath === null
            ? ''
            : `, set_config('search_path', ${escapeLiteral(binding.searchPath)}, true)`
        }`;
  const toText = (tenant: string) =>
    `SELECT set_config('vitrine.tenant_id', ${tenant}, true)${otherSettings}`;
  return {
    name: 'vitrine_bind_to_tenant',
    text: toText('$1'),
    values: [String(tenantId)],
    script: toText(`'${tenantId}'`),
  };
}

/** Says, in one sentence, that and why the database does not separate the tenants. */
export function describeMissingIsolation({ reason }: Extract<TenantBinding, { by: 'none' }>): string {
  return `Row-level security does not separate the tenants: ${reason}; only the conditions in the queries separate them.`;
}
