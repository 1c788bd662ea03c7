import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { onServer, urlOfDatabase } from '../../support/inner/server-database.ts';
import { services } from '../../support/services.ts';
import type { HostMapping } from './container.ts';

/** The advisory lock of tests that use the names of the deployments. Differs from the locks of the product. */
const namesLock = 7_239_101;

/** Marks what these tests created. */
const mark = 'made by tests of deployments';

/**
 * Creates a role and a database with exactly these names in the test server, for one test. The role is either only the
 * owner of the database or a superuser, like the first user of a Docker image.
 */
export async function useDatabase(
  names: { readonly user: string; readonly password: string; readonly database: string },
  rights: 'owner' | 'superuser',
): Promise<void> {
  await holdNames();
  const { user, password, database } = names;
  const remove = async () => {
    await onServer(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`, `DROP ROLE IF EXISTS "${user}"`);
  };
  await refuseStrangers(database);
  await remove();
  await onServer(
    `CREATE ROLE "${user}" LOGIN ${rights === 'superuser' ? 'SUPERUSER' : ''} PASSWORD '${password}'`,
    `CREATE DATABASE "${database}" OWNER "${user}"`,
    `COMMENT ON DATABASE "${database}" IS '${mark}'`,
  );
  if (rights === 'owner') await createExtension(database);
  onTestFinished(remove);
}

/** As an administrator, because an owner lacks the permission unless a host grants it. */
async function createExtension(database: string): Promise<void> {
  const client = new Client({ connectionString: urlOfDatabase(database) });
  await client.connect();
  await client.query('CREATE EXTENSION vector');
  await client.end();
}

/** Only one test at a time may use the names, even across test runs. */
async function holdNames(): Promise<void> {
  const client = new Client({ connectionString: services.databaseUrl });
  await client.connect();
  await client.query(`SELECT pg_advisory_lock(${namesLock})`);
  onTestFinished(() => client.end());
}

async function refuseStrangers(database: string): Promise<void> {
  const [found] = await onServer<{ words: string | null }>(
    `SELECT shobj_description(oid, 'pg_database') AS words FROM pg_database WHERE datname = '${database}'`,
  );
  if (found && found.words !== mark)
    throw new Error(`The test server has a database "${database}" that is not of these tests.`);
}

/** Creates a bucket with this name in the test store, for one test. */
export async function useBucket(bucket: string): Promise<void> {
  await storeClient().send(new CreateBucketCommand({ Bucket: bucket }));
  removeBucketAfterwards(bucket);
}

function storeClient(): S3Client {
  return new S3Client({
    endpoint: services.s3Endpoint ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
}

/** Removes a bucket and its objects at the end of the test. */
export function removeBucketAfterwards(bucket: string): void {
  const client = storeClient();
  onTestFinished(async () => {
    for (;;) {
      const { Contents: found = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      if (found.length === 0) break;
      const Objects = found.map(({ Key }) => ({ Key }));
      await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    }
    await client.send(new DeleteBucketCommand({ Bucket: bucket }));
  });
}

/** The local port of a running service. */
export function targetOf(address: string): HostMapping['target'] {
  const { hostname, port } = new URL(address);
  return { host: hostname, port: Number(port) };
}

/** The PostgreSQL test server. */
export const databaseTarget = () => targetOf(urlOfDatabase('postgres'));

/** The test store. */
export const storeTarget = () => targetOf(services.s3Endpoint ?? '');
