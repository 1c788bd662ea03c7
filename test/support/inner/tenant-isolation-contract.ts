import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import type { TenantBinding } from '../../../src/db/engine/tenant-binding.ts';
import { runInTenant } from '../../../src/tenant-scope.ts';
import { selectRow, selectRows } from './database.ts';
import { insertTwoTenants, listTenantTables, listUnprotected, type TwoTenants } from './two-tenants.ts';

/** Returns, for a table expression, how many rows a query sees. */
const countRows = async (database: Database, table: string): Promise<number> =>
  (await selectRow<{ count: number }>(database, `SELECT count(*) AS count FROM ${table}`)).count;

/**
 * Tests that the database separates the tenants for queries without any condition. Call this at the top level of a file.
 * @param database must be migrated, and empty
 * @param expectedBinding how transactions of this database user are bound to a tenant
 */
export async function testTenantIsolation(
  database: Database,
  expectedBinding: TenantBinding['by'],
): Promise<void> {
  const tables = await listTenantTables(database);
  let tenants: TwoTenants;
  beforeAll(async () => {
    tenants = await insertTwoTenants(database);
  });
  const asShop = <T>(work: () => Promise<T>): Promise<T> => runInTenant(tenants.shop, work);

  test(`binds transactions by ${expectedBinding}`, async () => {
    expect((await database.detectTenantBinding()).by).toBe(expectedBinding);
  });

  test('every table and view is protected, and a forgotten one would be reported', async () => {
    expect(await listUnprotected(database)).toEqual([]);
    await database.runScript(
      'CREATE TABLE forgotten (tenant_id int); CREATE VIEW seen AS SELECT * FROM images',
    );
    expect(await listUnprotected(database)).toEqual(['forgotten', 'seen']);
    await database.runScript('DROP TABLE forgotten; DROP VIEW seen');
  });

  describe.each(tables)('$name', ({ name, columns }) => {
    test('shows a bound query the rows of its tenant', async () => {
      const all = await countRows(database, name);
      const [own, others] = await Promise.all(
        [tenants.shop, tenants.rival].map((id) => runInTenant(id, () => countRows(database, name))),
      );
      expect(own).toBeGreaterThan(0);
      expect(others).toBeGreaterThan(0);
      expect(all, 'an unbound query sees all rows').toBe(own! + others!);
      expect(await runInTenant(0, () => countRows(database, name)), 'no tenant has this id').toBe(0);
    });

    test('lets a bound query change only the rows of its tenant', async () => {
      const change = `UPDATE ${name} SET ${columns[0]} = ${columns[0]} RETURNING 1`;
      const own = await asShop(() => countRows(database, name));
      expect(await asShop(() => selectRows(database, change))).toHaveLength(own);
      // Nobody can remove entries of the log, and tenants have rows elsewhere.
      if (name.startsWith('audit_') || name === 'tenants') return;
      const removal = asShop(() =>
        database.sql.transaction().execute(async (transaction) => {
          const { rows } = await sql.raw(`DELETE FROM ${name} RETURNING 1`).execute(transaction);
          throw new RolledBack(rows.length);
        }),
      );
      await expect(removal).rejects.toMatchObject({ removed: own });
    });

    test('rejects a row of a different tenant', async () => {
      const { row } = await runInTenant(tenants.rival, () =>
        selectRow<{ row: object }>(database, `SELECT to_jsonb(t) AS row FROM ${name} t LIMIT 1`),
      );
      const list = columns.join(', ');
      const insert = sql`INSERT INTO ${sql.raw(name)} (${sql.raw(list)})
        SELECT ${sql.raw(list)} FROM jsonb_populate_record(NULL::${sql.raw(name)}, ${JSON.stringify(row)}::jsonb)`;
      await expect(asShop(() => insert.execute(database.sql))).rejects.toThrow(/row-level security policy/);
    });

    test('rejects a change that would give a row to a different tenant', async () => {
      if (!columns.includes('tenant_id')) return;
      const change = `UPDATE ${name} SET tenant_id = ${tenants.rival}`;
      await expect(asShop(() => selectRows(database, change))).rejects.toThrow(
        name.startsWith('audit_') ? /cannot be changed/ : /row-level security policy/,
      );
    });
  });

  test.each(['usage', 'poison_jobs'])(
    'the view %s shows a bound query the rows of its tenant',
    async (view) => {
      const bound = await asShop(() =>
        selectRows<{ tenant_id: number }>(database, `SELECT tenant_id FROM ${view}`),
      );
      expect(new Set(bound.map((row) => row.tenant_id))).toEqual(new Set([tenants.shop]));
      expect(await countRows(database, view)).toBeGreaterThan(bound.length);
    },
  );

  test('the place of a job depends on the jobs of all tenants', async () => {
    const pending = (tenantId: number, turn: string) =>
      `INSERT INTO jobs (kind, tenant_id, state) VALUES ('derive', ${tenantId}, 'pending') RETURNING ${turn} AS turn`;
    await database.runScript(pending(tenants.rival, 'turn'));
    await database.runScript(
      `UPDATE jobs SET turn = 1000 WHERE tenant_id = ${tenants.rival} AND state = 'pending'`,
    );
    const { turn } = await asShop(() => selectRow<{ turn: number }>(database, pending(tenants.shop, 'turn')));
    expect(turn).toBe(1000);
    expect(await asShop(() => countRows(database, "jobs WHERE state = 'pending'")), 'still bound').toBe(1);
    await database.runScript("DELETE FROM jobs WHERE state = 'pending'");
  });

  describe('connections', () => {
    interface Session {
      readonly user: string;
      readonly tenant: string | null;
      readonly images: number;
    }
    const readSession = () =>
      selectRow<Session>(
        database,
        `SELECT current_user::text AS user, nullif(current_setting('vitrine.tenant_id', true), '') AS tenant,
           (SELECT count(*) FROM images) AS images`,
      );

    test('are not bound to anything when they are used again, whatever happened before', async () => {
      const unbound = await readSession();
      expect(unbound).toMatchObject({ tenant: null, images: 4 });
      const failures: (() => Promise<unknown>)[] = [
        () => selectRows(database, 'SELECT 1 / 0'),
        () => selectRows(database, 'SELECT nonsense'),
        () => database.sql.transaction().execute((transaction) => sql`SELECT 1 / 0`.execute(transaction)),
        () => database.sql.transaction().execute(() => Promise.reject(new Error('given up'))),
      ];
      for (const fail of failures) {
        await expect(asShop(fail)).rejects.toThrow(/zero|nonsense|given up/);
        expect(await readSession()).toEqual(unbound);
        expect(await asShop(readSession)).toMatchObject({ tenant: String(tenants.shop), images: 2 });
      }
    });

    test('keep two tenants apart whose statements alternate', async () => {
      const whole = await readSession();
      const inTransaction = () =>
        database.sql.transaction().execute(async (transaction) => {
          const read = sql<Session>`SELECT nullif(current_setting('vitrine.tenant_id', true), '') AS tenant,
          (SELECT count(*) FROM images) AS images`;
          const [first] = (await read.execute(transaction)).rows;
          expect((await read.execute(transaction)).rows[0]).toEqual(first);
          return first!;
        });
      const rounds = Array.from({ length: 120 }, async (_, index) => {
        const tenantId = [tenants.shop, tenants.rival, null][index % 3]!;
        const session = await runInTenant(tenantId, index % 2 === 0 ? readSession : inTransaction);
        expect(session.tenant).toBe(tenantId === null ? null : String(tenantId));
        expect(session.images).toBe(tenantId === null ? whole.images : 2);
      });
      await Promise.all(rounds);
    });

    test('bind a transaction with an isolation level', async () => {
      const count = await asShop(() =>
        database.sql
          .transaction()
          .setIsolationLevel('serializable')
          .execute(
            async (transaction) =>
              (await sql<{ count: number }>`SELECT count(*) AS count FROM images`.execute(transaction))
                .rows[0],
          ),
      );
      expect(count).toEqual({ count: 2 });
    });
  });
}

/** Rolls a transaction back, and carries out of it how many rows it removed. */
class RolledBack extends Error {
  readonly removed: number;

  constructor(removed: number) {
    super('rolled back');
    this.removed = removed;
  }
}
