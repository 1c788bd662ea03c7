import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { runOnServer, serverDatabaseUrl } from '../../support/inner/server-database.ts';
import { services } from '../../support/services.ts';
import type { HostMapping } from './container.ts';

/** Number of the advisory lock for tests that use the deployments' database names. Vitrine itself does not use it. */
const namesLock = 7_239_101;

/** Comment on the databases that these tests create. */
const testComment = 'made by tests of deployments';

/**
 * Creates a role and a database with exactly these names on the test server, for one test. The role owns the database,
 * or is a superuser like the first user in PostgreSQL's Docker image.
 */
export async function useDatabase(
  names: { readonly user: string; readonly password: string; readonly database: string },
  rights: 'owner' | 'superuser',
): Promise<void> {
  await lockNames();
  const { user, password, database } = names;
  const remove = async () => {
    await runOnServer(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`, `DROP ROLE IF EXISTS "${user}"`);
  };
  await assertOwnDatabase(database);
  await remove();
  await runOnServer(
    `CREATE ROLE "${user}" LOGIN ${rights === 'superuser' ? 'SUPERUSER' : ''} PASSWORD '${password}'`,
    `CREATE DATABASE "${database}" OWNER "${user}"`,
    `COMMENT ON DATABASE "${database}" IS '${testComment}'`,
  );
  if (rights === 'owner') await createExtension(database);
  onTestFinished(remove);
}

/** Creates the extension `vector` as the administrator, because a database owner lacks the permission. */
async function createExtension(database: string): Promise<void> {
  const client = new Client({ connectionString: serverDatabaseUrl(database) });
  await client.connect();
  await client.query('CREATE EXTENSION vector');
  await client.end();
}

/** Locks the database names until the end of the test. Concurrent test runs wait for the lock. */
async function lockNames(): Promise<void> {
  const client = new Client({ connectionString: services.databaseUrl });
  await client.connect();
  await client.query(`SELECT pg_advisory_lock(${namesLock})`);
  onTestFinished(() => client.end());
}

/** Throws if the database exists and was not created by these tests. */
async function assertOwnDatabase(database: string): Promise<void> {
  const [existingDatabase] = await runOnServer<{ comment: string | null }>(
    `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = '${database}'`,
  );
  if (existingDatabase && existingDatabase.comment !== testComment)
    throw new Error(`The test server has a database "${database}" that these tests did not create.`);
}

/** Creates a bucket with this name in the test store, for one test. */
export async function useBucket(bucket: string): Promise<void> {
  await makeStoreClient().send(new CreateBucketCommand({ Bucket: bucket }));
  removeBucketAfterwards(bucket);
}

function makeStoreClient(): S3Client {
  return new S3Client({
    endpoint: services.s3Endpoint ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
}

/** Removes a bucket and its objects at the end of the test. */
export function removeBucketAfterwards(bucket: string): void {
  const client = makeStoreClient();
  onTestFinished(async () => {
    for (;;) {
      const { Contents: objects = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      if (objects.length === 0) break;
      const Objects = objects.map(({ Key }) => ({ Key }));
      await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    }
    await client.send(new DeleteBucketCommand({ Bucket: bucket }));
  });
}

/** Returns the host and port in a URL. */
export function parseTarget(url: string): HostMapping['target'] {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/** Returns the host and port of the PostgreSQL test server. */
export const findDatabaseTarget = () => parseTarget(serverDatabaseUrl('postgres'));

/** Returns the host and port of the test store. */
export const findStoreTarget = () => parseTarget(services.s3Endpoint ?? '');
