import { describe, expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { systemPrincipal } from '../../../src/model/principal.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const mall = await tenants.ensure('mall');

/** Records imports from `host`, numbered from 0. */
const record = (host: string, count: number, tenantId = shop.id, priority = 50) =>
  jobs.enqueueUrls(
    systemPrincipal,
    Array.from({ length: count }, (_, index) => {
      const url = `https://${host}/${index}.jpg`;
      return { tenantId, url, urlHash: sha256Hex(url), reference: undefined };
    }),
    'allow-retry',
    priority,
  );

const limits = { perHost: 2, perTenant: 0 };
const claim = (count: number, importLimits = limits) => jobs.claimDue('import', count, 60, importLimits);
const hostOf = ({ sourceUrl }: { sourceUrl: string | null }) => new URL(sourceUrl ?? '').host;
const pathsOf = (claimed: readonly { sourceUrl: string | null }[]) =>
  claimed.map(({ sourceUrl }) => new URL(sourceUrl ?? '').pathname);
const listHeld = () =>
  selectRows<{ reason: string; count: number }>(
    database,
    'SELECT held_for AS reason, count(*) FROM jobs WHERE held_for IS NOT NULL GROUP BY 1 ORDER BY 1',
  );

describe('imports from one host', () => {
  test('are claimed up to the limit, and the next ones when a place is free', async () => {
    await record('slow.example', 5);
    const first = await claim(10);
    expect(pathsOf(first)).toEqual(['/0.jpg', '/1.jpg']);
    expect(await claim(10)).toEqual([]);
    await jobs.recordFailure(
      first[0]!,
      { failureClass: 'permanent', stage: 'fetch', code: 'source_refused', error: 'Gone.' },
      { state: 'failed' },
    );
    expect(pathsOf(await claim(10))).toEqual(['/2.jpg']);
    expect(await claim(10)).toEqual([]);
  });

  test('do not block imports from other hosts that were recorded later', async () => {
    await record('slow.example', 50);
    await record('fast.example', 3);
    expect((await claim(4)).map(hostOf)).toEqual([
      'slow.example',
      'slow.example',
      'fast.example',
      'fast.example',
    ]);
    await record('other.example', 1);
    expect((await claim(4)).map(hostOf)).toEqual(['other.example']);
  });

  test('wait without spending a retry, and keep their order', async () => {
    await record('slow.example', 3, shop.id, 100);
    await record('slow.example', 2, shop.id, 50);
    const first = await claim(9);
    expect(first.map(({ priority }) => priority)).toEqual([50, 50]);
    await jobs.handBack(first);
    expect(await claim(9)).toHaveLength(2);
    const waiting = await selectRows(
      database,
      `SELECT retries, crashes, lease_losses, jsonb_array_length(history) AS failures, state FROM jobs WHERE held_for IS NOT NULL`,
    );
    expect(waiting).toEqual(
      Array.from({ length: 3 }, () => ({
        retries: 0,
        crashes: 0,
        lease_losses: 0,
        failures: 0,
        state: 'pending',
      })),
    );
  });

  test('count for all tenants together', async () => {
    await record('slow.example', 2, shop.id);
    await record('slow.example', 2, mall.id);
    const claimed = await claim(9);
    expect(claimed.map(({ tenantId }) => tenantId)).toEqual([shop.id, mall.id]);
  });

  test('are found behind thousands of imports that must wait', async () => {
    for (let batch = 0; batch < 6; batch += 1) await record('slow.example', 1_000);
    await record('fast.example', 1);
    // A claim examines a limited number of jobs, so that it is quick. Later claims continue.
    const claimed = [...(await claim(4)), ...(await claim(4))];
    expect(claimed.map(hostOf)).toEqual(['slow.example', 'slow.example', 'fast.example']);
    expect(await listHeld()).toEqual([{ reason: 'host slow.example', count: 5_998 }]);
  });

  test('are not limited by 0', async () => {
    await record('fast.example', 12);
    expect(await claim(20, { perHost: 0, perTenant: 0 })).toHaveLength(12);
  });

  test('are identified by the host in the URL, without its port', async () => {
    await jobs.enqueueUrls(
      systemPrincipal,
      ['http://[2001:db8::1]:8080/a.jpg', 'https://example.com?x=1', 'https://example.com:444/#'].map(
        (url) => ({
          tenantId: shop.id,
          url,
          urlHash: sha256Hex(url),
          reference: undefined,
        }),
      ),
      'allow-retry',
      50,
    );
    const hosts = await selectRows<{ host: string }>(
      database,
      'SELECT source_host AS host FROM jobs ORDER BY id',
    );
    expect(hosts.map(({ host }) => host)).toEqual(['[2001:db8::1]', 'example.com', 'example.com']);
  });
});

describe('imports of one tenant', () => {
  const tenantLimits = { perHost: 2, perTenant: 3 };

  test('are claimed up to the limit, while other tenants’ imports are claimed', async () => {
    for (const host of ['a.example', 'b.example', 'c.example']) await record(host, 2, shop.id);
    await record('d.example', 1, mall.id);
    const claimed = await claim(9, tenantLimits);
    expect(claimed.map((job) => [job.tenantId, hostOf(job)])).toEqual([
      [shop.id, 'a.example'],
      [mall.id, 'd.example'],
      [shop.id, 'a.example'],
      [shop.id, 'b.example'],
    ]);
    expect(await listHeld()).toEqual([{ reason: `tenant ${shop.id}`, count: 3 }]);
    await jobs.handBack(claimed.slice(0, 1));
    expect(await claim(9, tenantLimits)).toHaveLength(1);
  });

  test('that wait for their host take no place of the tenant', async () => {
    await record('slow.example', 5, shop.id);
    await record('fast.example', 2, shop.id);
    expect((await claim(9, tenantLimits)).map(hostOf)).toEqual([
      'slow.example',
      'slow.example',
      'fast.example',
    ]);
  });
});

test('concurrent claims never exceed a limit', async () => {
  for (const host of ['a.example', 'b.example', 'c.example']) await record(host, 40);
  const claims = await Promise.all(Array.from({ length: 12 }, () => claim(5, { perHost: 7, perTenant: 0 })));
  const countByHost = Object.groupBy(claims.flat(), hostOf);
  expect(Object.values(countByHost).map((claimed) => claimed?.length)).toEqual([7, 7, 7]);
});

test('new imports wait behind the first one that may start, not behind held ones', async () => {
  await record('slow.example', 30, shop.id);
  await claim(30);
  await record('fast.example', 2, mall.id);
  await record('fast.example', 1, shop.id);
  const { turns } = await selectRow<{ turns: number[] }>(
    database,
    "SELECT array_agg(turn ORDER BY id) AS turns FROM jobs WHERE source_host = 'fast.example'",
  );
  expect(turns.map(Number)).toEqual([1, 2, 31]);
});
