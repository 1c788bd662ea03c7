import { sql } from 'kysely';
import type { Principal } from '../model/principal.ts';
import type { Tenant } from '../model/tenant.ts';
import { findSettingChanges, type OwnTenantSettings, readOwnSettings } from '../model/tenant-settings.ts';
import { type Actor, insertAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import { retryingTransaction } from './engine/retrying.ts';
import { isVisibleTo } from './lists.ts';
import type { Schema } from './schema.ts';

/** Queries on the settings of tenants. */
export type TenantSettingsQueries = ReturnType<typeof makeTenantSettingsQueries>;

/** A tenant with the settings that it has of its own. */
export interface ConfiguredTenant extends Tenant {
  readonly own: OwnTenantSettings;
}

type Row = Pick<Schema['tenants'], 'id' | 'name' | 'settings'>;

/** @see TenantSettingsQueries */
export function makeTenantSettingsQueries({ sql: db }: Database) {
  async function selectByName(
    queryable: Queryable,
    principal: Pick<Principal, 'tenantId'>,
    name: string,
    lock = sql``,
  ): Promise<ConfiguredTenant | undefined> {
    const { rows } = await sql<Row>`
      SELECT id, name, settings FROM tenants WHERE name = ${name} AND ${isVisibleTo(principal, 'id')} ${lock}`.execute(
      queryable,
    );
    return rows.map((row) => ({ id: row.id, name: row.name, own: readOwnSettings(row.settings) }))[0];
  }

  return {
    /** Returns the settings that a tenant has of its own; none if there is no such tenant. */
    async find(tenantId: number): Promise<OwnTenantSettings> {
      const { rows } = await sql<Pick<Row, 'settings'>>`
        SELECT settings FROM tenants WHERE id = ${tenantId}`.execute(db);
      return rows[0] ? readOwnSettings(rows[0].settings) : {};
    },

    /** Returns a tenant that the principal may see. */
    findByName: (principal: Pick<Principal, 'tenantId'>, name: string) => selectByName(db, principal, name),

    /**
     * Replaces the settings of a tenant that the principal may see, and records what changed in the audit log.
     * @param decide returns the new settings, given those that no other transaction can change meanwhile; may throw
     */
    replace: (
      principal: Actor & Pick<Principal, 'tenantId'>,
      name: string,
      decide: (own: OwnTenantSettings) => OwnTenantSettings,
    ): Promise<ConfiguredTenant | undefined> =>
      retryingTransaction(db, async (transaction) => {
        // Unlike FOR UPDATE, this lets other transactions insert rows of the tenant.
        const tenant = await selectByName(transaction, principal, name, sql`FOR NO KEY UPDATE`);
        if (!tenant) return undefined;
        const own = decide(tenant.own);
        const changes = findSettingChanges(tenant.own, own);
        if (changes.length === 0) return tenant;
        await sql`UPDATE tenants SET settings = ${JSON.stringify(own)}::jsonb WHERE id = ${tenant.id}`.execute(
          transaction,
        );
        // A setting that is missing in `from` or `to` had, or has, the installation's default.
        const details = Object.fromEntries(
          changes.map(({ name: setting, from, to }) => [setting, { from, to }]),
        );
        await insertAudit(principal, {
          action: 'tenant.configure',
          from: sql`(SELECT ${tenant.id}::int AS id, ${tenant.name}::text AS name) configured_tenant`,
          tenantId: sql`configured_tenant.id`,
          target: sql`configured_tenant.name`,
          details: sql`${JSON.stringify(details)}::jsonb`,
        }).execute(transaction);
        return { ...tenant, own };
      }),
  };
}
