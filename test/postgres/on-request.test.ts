import { expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { selectRow, selectRows } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { call, form } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';

const presets = JSON.stringify({
  thumb: [100, 100],
  late: { width: 150, height: 150, formats: ['webp'], eager: false },
});

/** Starts three servers on one database and one folder, and uploads a picture. */
async function startServers() {
  const { name, database } = await openTestServerDatabase();
  const folder = await makeTestFolder();
  const env = {
    DATABASE_URL: serverDatabaseUrl(name),
    DATA_DIR: folder,
    PRESETS: presets,
    MAX_COLD_READS: '100',
  };
  const servers = [await startServer(env, folder)];
  servers.push(...(await Promise.all([startServer(env, folder), startServer(env, folder)])));
  const upload = await call(`${servers[0]!.url}/v1/images`, {
    method: 'POST',
    body: form(['file', await makeUniquePicture()]),
  });
  expect(upload.status).toBe(201);
  return { servers, database, image: upload.body as { id: number; uuid: string } };
}

async function countRenderings(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`, { headers: { accept: 'text/plain' } })).text();
  const lines = metrics.split('\n').filter((line) => line.startsWith('vitrine_renditions_rendered_total'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('three processes make a variant once for 200 requests', async () => {
  const { servers, database, image } = await startServers();
  const countAll = async () =>
    (await Promise.all(servers.map(({ url }) => countRenderings(url)))).reduce((sum, count) => sum + count);
  const countBefore = await countAll();
  const responses = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const { url } = servers[index % servers.length]!;
      const response = await fetch(`${url}/v1/images/${image.uuid}/renditions/late`);
      return { status: response.status, body: Buffer.from(await response.arrayBuffer()).toString('base64') };
    }),
  );
  expect([...new Set(responses.map(({ status }) => status))]).toEqual([200]);
  expect(new Set(responses.map(({ body }) => body)).size).toBe(1);
  expect((await countAll()) - countBefore).toBe(1);
  expect(await selectRows(database, 'SELECT 1 FROM variant_claims')).toEqual([]);
  expect(await selectRow(database, "SELECT count(*) AS count FROM renditions WHERE preset = 'late'")).toEqual(
    { count: 1 },
  );
});

test('a claim excludes other processes until it ends, and a failure excludes them for longer and longer', async () => {
  const { database } = await openTestServerDatabase();
  const { id } = await makeCatalog(database, 1).tenants.ensure('shop');
  const imageId = await makeCatalog(database, id).add('vase');
  const { variantClaims } = makeQueries(database);
  const variant = { imageId, preset: 'card', format: 'webp', density: 1, recipe: 'r' } as const;
  const [first, second] = [
    '00000000-0000-4000-8000-000000000001',
    '00000000-0000-4000-8000-000000000002',
  ] as const;
  const expireClaim = () =>
    database.runScript("UPDATE variant_claims SET claimed_until = now() - interval '1 second'");

  expect(await variantClaims.claim(variant, first, 60)).toEqual({ outcome: 'claimed' });
  expect(await variantClaims.claim(variant, second, 60)).toEqual({ outcome: 'taken' });
  expect(await variantClaims.claim({ ...variant, format: 'avif' }, second, 60)).toEqual({
    outcome: 'claimed',
  });
  expect(await variantClaims.claim({ ...variant, imageId: 424_242 }, second, 60)).toEqual({
    outcome: 'image-removed',
  });

  // The first process has stopped extending its claim. It can no longer end the claim of the second one.
  await expireClaim();
  expect(await variantClaims.claim(variant, second, 60)).toEqual({ outcome: 'claimed' });
  await variantClaims.release(variant, first);
  expect(await variantClaims.claim(variant, first, 60)).toEqual({ outcome: 'taken' });

  const failure = { code: 'decoder_crashed', error: 'It crashed.' };
  for (const retrySeconds of [60, 240, 960, 3_600, 3_600]) {
    await variantClaims.fail(variant, second, failure);
    const result = await variantClaims.claim(variant, first, 60);
    expect(result).toMatchObject({ outcome: 'failed', ...failure });
    expect('retrySeconds' in result && Math.abs(result.retrySeconds - retrySeconds)).toBeLessThan(5);
    await expireClaim();
    expect(await variantClaims.claim(variant, second, 60)).toEqual({ outcome: 'claimed' });
  }
});

test('a variant is not recorded if its file was removed or its image deleted meanwhile', async () => {
  const { database } = await openTestServerDatabase();
  const { id: tenantId } = await makeCatalog(database, 1).tenants.ensure('shop');
  const catalog = makeCatalog(database, tenantId);
  const imageId = await catalog.add('vase');
  const [thumb] = catalog.makeRenditions('vase');
  const rendition = { ...thumb!, format: 'webp', isListed: false, isOnRequest: true } as const;
  const record = (hasFiles: () => Promise<boolean>, focalPoint: { x: number; y: number } | null = null) =>
    catalog.variants.record({ imageId, renditions: [rendition], focalPoint, hasFiles });
  const isThere = () => Promise.resolve(true);

  expect(await record(() => Promise.resolve(false))).toBe('file-missing');
  expect(await record(isThere, { x: 0.5, y: 0.5 })).toBe('focal-point-changed');
  // The deletion waits for the lock on the image's files, which `record` holds while it looks for the file.
  const deletion = Promise.withResolvers<unknown>();
  const recorded = await record(() => {
    deletion.resolve(catalog.softDelete(imageId));
    return isThere();
  });
  await deletion.promise;
  expect(recorded).toHaveLength(1);
  expect(await record(isThere)).toBe('image-removed');
  expect(await catalog.restore(imageId)).toBe(true);
  expect((await catalog.image(imageId))?.renditions).toHaveLength(3);
  expect(await catalog.recounting.correctUsage(tenantId)).toEqual([]);
});
