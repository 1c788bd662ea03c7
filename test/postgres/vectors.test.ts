import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { migrate } from '../../src/db/engine/migrate.ts';
import { openPostgresDatabase } from '../../src/db/engine/postgres.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { embeddingSpace } from '../../src/model/fingerprint.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { sha256Hex } from '../support/inner/records.ts';
import {
  createServerDatabase,
  runOnServer,
  openTestServerDatabase,
  testSettings,
  serverDatabaseUrl,
} from '../support/inner/server-database.ts';

/** Creates a database and connects as a user who may not create extensions. */
async function openRestrictedDatabase(): Promise<{ database: Database; name: string }> {
  const { name, remove } = await createServerDatabase(false);
  const role = `vitrine_test_${randomBytes(4).toString('hex')}`;
  await runOnServer(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
  const url = new URL(serverDatabaseUrl(name));
  await runAsAdmin(name, `GRANT CREATE ON SCHEMA public TO ${role}`);
  url.username = role;
  url.password = 'secret';
  const database = await openPostgresDatabase({ ...testSettings, url: url.href }, makeRecordingLogger());
  onTestFinished(async () => {
    await database.close();
    await remove();
    await runOnServer(`DROP ROLE ${role}`);
  });
  return { database, name };
}

/** Runs a statement in a database as an administrator. */
async function runAsAdmin(name: string, script: string): Promise<void> {
  const admin = await openPostgresDatabase(
    { ...testSettings, url: serverDatabaseUrl(name) },
    makeRecordingLogger(),
  );
  await admin.runScript(script);
  await admin.close();
}

const searchOptions = { limit: 5, threshold: 0, metric: 'cosine' } as const;

test('works without pgvector, except for similarity search', async () => {
  const { database } = await openRestrictedDatabase();
  const { vectors } = await migrate(database);
  expect(vectors).toEqual({
    isAvailable: false,
    reason: expect.stringMatching(
      /is not allowed to create the extension: .* CREATE EXTENSION vector/,
    ) as string,
  });
  const queries = makeQueries(database, vectors);
  const shop = await queries.tenants.ensure('shop');
  const catalog = makeCatalog(database, shop.id, vectors);
  const id = await catalog.add('vase');
  expect(await catalog.image(id)).toMatchObject({ status: 'completed', renditions: [{}, {}] });
  await catalog.softDelete(id);
  expect(await catalog.purge(id)).toMatchObject({ renditions: 2 });
  await expect(
    queries.embeddings.findSimilarToContent(shop.id, sha256Hex('vase'), embeddingSpace, searchOptions),
  ).rejects.toMatchObject({ code: 'similarity_unavailable', status: 501 });
  expect(await queries.embeddings.count(embeddingSpace)).toBe(0);
});

test('uses pgvector at the next start after an administrator has created the extension', async () => {
  const { database, name } = await openRestrictedDatabase();
  expect((await migrate(database)).vectors.isAvailable).toBe(false);
  await runAsAdmin(name, 'CREATE EXTENSION vector');
  const { vectors, applied } = await migrate(database);
  expect({ vectors, applied }).toEqual({ vectors: { isAvailable: true }, applied: [] });
  const queries = makeQueries(database, vectors);
  const shop = await queries.tenants.ensure('shop');
  const id = await makeCatalog(database, shop.id, vectors).add('vase');
  expect((await queries.images.find(unrestrictedPrincipal, { id }))?.status).toBe('completed');
  expect(await queries.embeddings.count(embeddingSpace)).toBe(1);
});

test('reports a pgvector version that is too old', async () => {
  const { database } = await openTestServerDatabase(false);
  // Only one version of pgvector is installed, so the test overwrites the recorded version with an older one.
  await database.runScript(
    "CREATE EXTENSION vector; UPDATE pg_extension SET extversion = '0.6.2' WHERE extname = 'vector'",
  );
  expect((await migrate(database)).vectors).toEqual({
    isAvailable: false,
    reason: expect.stringMatching(/^pgvector 0\.6\.2 is too old: install version 0\.7 or later/) as string,
  });
});
