import { expect, test } from 'vitest';
import { makeTenantSettingsQueries } from '../../src/db/tenant-settings.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { systemPrincipal } from '../../src/model/principal.ts';
import { noQuotas } from '../../src/model/quota.ts';
import type { OwnTenantSettings } from '../../src/model/tenant-settings.ts';
import { makeFindQuotas, makeSettingsCache } from '../../src/services/settings-cache.ts';
import { defaultTenantSettings } from '../../src/services/tenant-settings.ts';
import { useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();
const queries = makeTenantSettingsQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const defaults = defaultTenantSettings('signed', { ...noQuotas, images: 100 });
const change = (own: OwnTenantSettings) => queries.replace(systemPrincipal, 'shop', () => own);

/** Creates the cache of one process, with a clock that the test sets, and counts its queries. */
function makeCache(find = (tenantId: number) => queries.find(tenantId)) {
  const clock = { ms: 0 };
  const counts = { queries: 0 };
  const cache = makeSettingsCache({
    queries: {
      find: (tenantId) => {
        counts.queries += 1;
        return find(tenantId);
      },
    },
    defaults,
    now: () => clock.ms,
  });
  return { cache, clock, counts };
}

test('merges the settings of a tenant with the defaults', async () => {
  const { cache } = makeCache();
  expect(await cache.find(shop.id)).toEqual(defaults);
  await change({ delivery: 'public', quota_bytes: 5 });
  cache.forget(shop.id);
  const settings = { ...defaults, delivery: 'public', quota_bytes: 5 };
  expect(await cache.find(shop.id)).toEqual(settings);
  expect(await makeFindQuotas(cache)(shop.id)).toEqual({ images: 100, bytes: 5, importsPerDay: null });
  expect(await cache.find(shop.id + 1_000)).toEqual(defaults);
});

test('answers from memory, and shares one query between concurrent requests', async () => {
  const { cache, clock, counts } = makeCache();
  expect(cache.cached(shop.id)).toBeUndefined();
  await Promise.all(Array.from({ length: 10 }, () => cache.find(shop.id)));
  clock.ms = 1_499;
  expect(cache.cached(shop.id)).toEqual(defaults);
  expect(await cache.find(shop.id)).toEqual(defaults);
  expect(counts.queries).toBe(1);
});

test('does not trust settings for more than 3 s, whichever process changed them', async () => {
  const { cache, clock } = makeCache();
  await cache.find(shop.id);
  await change({ delivery: 'public' });
  clock.ms = 2_999;
  const stale = cache.cached(shop.id);
  expect(stale?.delivery).toBe('signed');
  clock.ms = 10_000;
  expect((await cache.find(shop.id)).delivery).toBe('public');
});

test('reads settings that are in use again in the background', async () => {
  const { cache, clock, counts } = makeCache();
  await cache.find(shop.id);
  await change({ delivery: 'public' });
  clock.ms = 1_500;
  expect(cache.cached(shop.id)?.delivery).toBe('signed');
  await expect.poll(() => cache.cached(shop.id)?.delivery).toBe('public');
  expect(counts.queries).toBe(2);
});

test('forgets a read that began before a change of this process', async () => {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { cache } = makeCache(async (tenantId) => {
    const own = await queries.find(tenantId);
    reached.resolve();
    await opened.promise;
    return own;
  });
  const staleRead = cache.find(shop.id);
  await reached.promise;
  await change({ delivery: 'public' });
  cache.forget(shop.id);
  opened.resolve();
  expect((await staleRead).delivery).toBe('signed');
  expect(cache.cached(shop.id)).toBeUndefined();
  expect((await cache.find(shop.id)).delivery).toBe('public');
});

test('reports a failed read once the settings are no longer trusted', async () => {
  let isBroken = false;
  const { cache, clock } = makeCache(async (tenantId) => {
    if (isBroken) throw new Error('The database is gone.');
    return queries.find(tenantId);
  });
  await cache.find(shop.id);
  isBroken = true;
  clock.ms = 2_000;
  expect(cache.cached(shop.id)).toEqual(defaults);
  clock.ms = 3_000;
  await expect(cache.find(shop.id)).rejects.toThrow('gone');
  isBroken = false;
  expect(await cache.find(shop.id)).toEqual(defaults);
});
