import { expect, onTestFinished, test } from 'vitest';
import { makeInstallationQueries } from '../../src/db/installation.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { recordPending } from '../support/inner/jobs.ts';
import { findFreePort } from '../support/inner/redis-server.ts';
import { runOnServer, openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { runVitrine } from '../support/process/command.ts';

async function runDoctor(url: string) {
  return runVitrine(['doctor'], { DATA_DIR: await makeTestFolder(), DATABASE_URL: url });
}

test('reports the server, schema and pgvector versions without changing anything', async () => {
  const { name, database } = await openTestServerDatabase();
  const { code, stdout } = await runDoctor(serverDatabaseUrl(name));
  expect(code, stdout).toBe(0);
  expect(stdout).toMatch(/^ok\s+database\s+PostgreSQL \d+\.\d+ .*responds$/m);
  expect(stdout).toMatch(/^ok\s+schema\s+version \d+, up to date$/m);
  expect(stdout).toMatch(/^ok\s+pgvector\s+version \d/m);

  await database.runScript('DELETE FROM schema_migrations WHERE version > 5');
  expect((await runDoctor(serverDatabaseUrl(name))).stdout).toMatch(
    /^ok\s+schema\s+version 5; the next start migrates the schema to version \d+$/m,
  );
  await database.runScript("INSERT INTO schema_migrations (version, name) VALUES (9999, 'from-the-future')");
  expect((await runDoctor(serverDatabaseUrl(name))).stdout).toMatch(
    /^FAIL\s+schema\s+version 9999; this version of Vitrine supports versions up to \d+\n\s+→ Install a newer version of Vitrine/m,
  );
});

test('reports a user without permission to create tables', async () => {
  const { name } = await openTestServerDatabase(false);
  const role = `vitrine_doctor_${process.pid}`;
  await runOnServer(`CREATE ROLE ${role} LOGIN`);
  onTestFinished(async () => void (await runOnServer(`DROP ROLE ${role}`)));
  const url = new URL(serverDatabaseUrl(name));
  url.username = role;
  const { code, stdout } = await runDoctor(url.href);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^FAIL\s+schema\s+not created yet; .*this user is not allowed to change the schema\n\s+→ Make the user/m,
  );
});

test('reports storage that belongs to a different database, and jobs that no worker claims', async () => {
  const { name, database } = await openTestServerDatabase();
  await makeInstallationQueries(database).recordStorageMarked();
  const shop = await makeTenantQueries(database).ensure('shop');
  const { jobId } = await recordPending(database, shop.id, 'waiting');
  await database.runScript(`UPDATE jobs SET run_at = now() - interval '90 s' WHERE id = ${jobId}`);
  const { code, stdout } = await runDoctor(serverDatabaseUrl(name));
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^FAIL\s+images\s+This storage location does not contain .*\n\s+→ Check that STORAGE_PATH/m,
  );
  expect(stdout).toMatch(/^FAIL\s+jobs\s+1 derive job has been waiting .*\n\s+→ Start vitrine worker/m);
});

test('suggests a fix if the server is unreachable', async () => {
  const { code, stdout } = await runDoctor(`postgres://127.0.0.1:${await findFreePort()}/shop`);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAIL\s+database .*\n\s+→ Check DATABASE_URL/m);
  expect(stdout, 'the outage is reported once').not.toMatch(/queue/);
});
