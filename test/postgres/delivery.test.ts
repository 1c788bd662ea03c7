import { expect, test } from 'vitest';
import { createKey, keySettings, sendJson, uploadWithKey } from '../http/support/keys.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { call } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';

test('every process follows a change of the delivery within 5 s, under load', async () => {
  const { name } = await openTestServerDatabase();
  const folder = await makeTestFolder();
  const env = { ...keySettings, DATABASE_URL: serverDatabaseUrl(name) };
  const [first, second] = [await startServer(env, folder), await startServer(env, folder)];
  const key = await createKey(first.url, { tenant: 'shop', role: 'admin' });
  const { body: image } = await uploadWithKey(first.url, key, await jpeg('vase'));
  const path = image.renditions[0]!.url;
  /** Requests the picture without a key until the status is `status`. Returns the seconds since the change. */
  const follow = async (base: string, delivery: string, status: number) => {
    const { status: changed } = await sendJson(
      first.url,
      'PUT',
      '/v1/tenants/shop/settings',
      { delivery },
      key,
    );
    expect(changed).toBe(200);
    const startedAt = performance.now();
    while ((await call(base + path)).status !== status)
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    return (performance.now() - startedAt) / 1_000;
  };
  expect((await call(second.url + path)).status).toBe(401);
  for (const base of [first.url, second.url]) {
    await follow(base, 'public', 200);
    await follow(base, 'signed', 401);
    // It stays that way.
    for (let index = 0; index < 50; index += 1) expect((await call(base + path)).status).toBe(401);
  }
});
