import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { rowOf, useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();

test('creates a tenant at its first use, and finds it afterwards, also in another process', async () => {
  const made = await makeTenantQueries(database).ensure('shop');
  expect(await makeTenantQueries(database).ensure('shop')).toEqual(made);
  expect(await makeTenantQueries(database).find('shop')).toEqual(made);
});

test('distinguishes names by case', async () => {
  const tenants = makeTenantQueries(database);
  const [lower, upper] = [await tenants.ensure('case'), await tenants.ensure('CASE')];
  expect(lower.id).not.toBe(upper.id);
});

test('creates no tenant when looking one up', async () => {
  expect(await makeTenantQueries(database).find('nobody')).toBeUndefined();
  expect(await rowOf(database, "SELECT count(*) FROM tenants WHERE name = 'nobody'")).toEqual({ count: 0 });
});

test('creates one tenant in many concurrent first uses', async () => {
  const processes = Array.from({ length: 20 }, () => makeTenantQueries(database));
  const made = await Promise.all(processes.map((tenants) => tenants.ensure('crowd')));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
});
