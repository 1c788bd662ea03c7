import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { migrate } from '../../src/db/engine/migrate.ts';
import { openPostgresDatabase } from '../../src/db/engine/postgres.ts';
import { tenantRole } from '../../src/db/engine/tenant-binding.ts';
import { prepareTenantRole } from '../../src/db/engine/tenant-role.ts';
import { runInTenant } from '../../src/tenant-scope.ts';
import { selectRow } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { insertTwoTenants } from '../support/inner/two-tenants.ts';
import {
  createOwnedDatabase,
  openTestServerDatabase,
  runOnServer,
  testSettings,
} from '../support/inner/server-database.ts';
import { runVitrine } from '../support/process/command.ts';

async function createOwned(attributes: string) {
  const { url, remove } = await createOwnedDatabase(attributes);
  onTestFinished(remove);
  return { url, user: new URL(url).username };
}

async function open(url: string, poolSize = testSettings.poolSize): Promise<Database> {
  const database = await openPostgresDatabase({ ...testSettings, url, poolSize }, makeRecordingLogger());
  onTestFinished(() => database.close());
  await migrate(database);
  return database;
}

const countImages = async (database: Database): Promise<number> =>
  (await selectRow<{ count: number }>(database, 'SELECT count(*) AS count FROM images')).count;

test('reports a user who may bypass row-level security and cannot switch to the role, until it is granted', async () => {
  await openTestServerDatabase(); // The role exists, because an administrator has migrated a database of this server.
  const { url, user } = await createOwned('BYPASSRLS');
  const database = await open(url);
  expect(await database.detectTenantBinding()).toMatchObject({ by: 'none', reason: /is not granted/ });
  const { shop } = await insertTwoTenants(database);
  expect(await runInTenant(shop, () => countImages(database)), 'only conditions separate the tenants').toBe(
    4,
  );
  const doctor = () =>
    makeTestFolder().then((folder) => runVitrine(['doctor'], { DATA_DIR: folder, DATABASE_URL: url }));
  const report = await doctor();
  expect(report.stdout).toMatch(
    /^note\s+isolation\s+Row-level security does not separate the tenants.*\n\s+→ .*GRANT/m,
  );
  expect(report.code, 'a note is not a problem').toBe(0);

  await runOnServer(`GRANT ${tenantRole} TO ${user}`);
  const restarted = await open(url);
  expect((await restarted.detectTenantBinding()).by).toBe('role');
  expect(await runInTenant(shop, () => countImages(restarted))).toBe(2);
  expect((await doctor()).stdout).toMatch(
    /^ok\s+isolation\s+row-level security is applied by switching to the role/m,
  );
});

test('doctor reports that row-level security applies to an ordinary user', async () => {
  const { url } = await createOwned('');
  await open(url);
  const { stdout } = await runVitrine(['doctor'], { DATA_DIR: await makeTestFolder(), DATABASE_URL: url });
  expect(stdout).toMatch(/^ok\s+isolation\s+row-level security applies to this user/m);
});

test('finds the tables in a schema that has the name of the user', async () => {
  const { url, user } = await createOwned('SUPERUSER');
  const database = await openPostgresDatabase({ ...testSettings, url }, makeRecordingLogger());
  await database.runScript(`CREATE SCHEMA ${user}`);
  await database.close();
  const migrated = await open(url);
  expect(await migrated.detectTenantBinding()).toEqual({ by: 'role', searchPath: `${user}, public` });
  const { rival } = await insertTwoTenants(migrated);
  expect(await runInTenant(rival, () => countImages(migrated))).toBe(2);
  expect(await countImages(migrated)).toBe(4);
});

test('creates and grants the role when several databases do so at the same time', async () => {
  const role = `vitrine_test_role_${randomBytes(4).toString('hex')}`;
  // Runs last: the role cannot be dropped before the databases in which it has privileges.
  onTestFinished(async () => void (await runOnServer(`DROP ROLE ${role}`)));
  const { url, user } = await createOwned('BYPASSRLS CREATEROLE');
  const others = await Promise.all(Array.from({ length: 3 }, () => createOwned('BYPASSRLS CREATEROLE')));
  const databases = await Promise.all(
    [url, ...others.map((other) => other.url)].map((each) => open(each, 2)),
  );
  await Promise.all(
    databases.map((database) =>
      database.session(async (run) => {
        await run('BEGIN');
        await prepareTenantRole(run, role);
        await run('COMMIT');
      }),
    ),
  );
  const created = await runOnServer<{ rolcanlogin: boolean; rolbypassrls: boolean }>(
    `SELECT rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = '${role}'`,
  );
  expect(created).toEqual([{ rolcanlogin: false, rolbypassrls: false }]);
  // Whoever created it has granted it to itself; on PostgreSQL 16 and later, nobody else can.
  const members = await runOnServer<{ name: string }>(
    `SELECT DISTINCT member::regrole::text AS name FROM pg_auth_members WHERE roleid = '${role}'::regrole`,
  );
  expect(members.length).toBeGreaterThan(0);
  expect([user, ...others.map((other) => other.user)]).toEqual(
    expect.arrayContaining(members.map(({ name }) => name)),
  );
});

test('a bound statement whose connection is lost fails, and the next one uses a new connection', async () => {
  const { database } = await openTestServerDatabase();
  const { shop } = await insertTwoTenants(database);
  const lost = expect(
    runInTenant(shop, () => sql`SELECT pg_sleep(20)`.execute(database.sql)),
  ).rejects.toMatchObject({ code: 'database_unavailable' });
  await expect
    .poll(() =>
      selectRow<{ ended: number }>(
        database,
        `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid()`,
      ),
    )
    .toEqual({ ended: 1 });
  await lost;
  expect(await runInTenant(shop, () => countImages(database))).toBe(2);
  expect(await countImages(database)).toBe(4);
});

test('two tenants whose statements alternate on one connection see only their own rows', async () => {
  const { url } = await createOwned('SUPERUSER');
  const database = await open(url, 1);
  const { shop, rival } = await insertTwoTenants(database);
  const pids = new Set<number>();
  for (let round = 0; round < 6; round++)
    for (const [tenantId, name] of [
      [shop, 'shop'],
      [rival, 'rival'],
      [null, 'shop,rival'],
    ] as const) {
      const { names, pid } = await runInTenant(tenantId, () =>
        selectRow<{ names: string; pid: number }>(
          database,
          "SELECT string_agg(name, ',' ORDER BY id) AS names, pg_backend_pid() AS pid FROM tenants",
        ),
      );
      expect(names).toBe(name);
      pids.add(pid);
    }
  expect(pids.size).toBe(1);
});
