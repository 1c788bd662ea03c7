import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { boundTenantId, keepTenant, runInTenant, runUnbound } from '../src/tenant-scope.ts';

test('binds work and everything that it starts, but nothing else', async () => {
  const seen: (number | null)[] = [];
  const work = async () => {
    seen.push(boundTenantId());
    await sleep(1);
    seen.push(boundTenantId());
    await runUnbound(async () => {
      await sleep(1);
      seen.push(boundTenantId());
    });
    seen.push(boundTenantId());
  };
  const whenDone = runInTenant(7, work);
  expect(boundTenantId()).toBeNull();
  await whenDone;
  expect(boundTenantId()).toBeNull();
  expect(seen).toEqual([7, 7, null, 7]);
});

test('keeps two tenants apart whose work alternates', async () => {
  const read = async (): Promise<Set<number | null>> => {
    const seen = new Set<number | null>();
    for (let round = 0; round < 20; round++) {
      seen.add(boundTenantId());
      await sleep(Math.random());
    }
    return seen;
  };
  const results = await Promise.all([1, 2, null].map((tenantId) => runInTenant(tenantId, read)));
  expect(results).toEqual([new Set([1]), new Set([2]), new Set([null])]);
});

test('binds a generator while it is read, and not its reader', async () => {
  const seen: (number | null)[] = [];
  async function* generate() {
    try {
      for (let item = 0; item < 3; item++) {
        await sleep(1);
        seen.push(boundTenantId());
        yield item;
      }
    } finally {
      seen.push(boundTenantId());
    }
  }
  const items: number[] = [];
  for await (const item of runInTenant(5, generate)) {
    expect(boundTenantId()).toBeNull();
    items.push(item);
    if (item === 1) break;
  }
  expect(items).toEqual([0, 1]);
  expect(seen).toEqual([5, 5, 5]);
});

test('keeps the tenant for a function that is called later', () => {
  const read = runInTenant(3, () => keepTenant((name: string) => `${name} ${boundTenantId()}`));
  expect(read('tenant')).toBe('tenant 3');
  expect(runInTenant(4, () => read('tenant'))).toBe('tenant 3');
});
