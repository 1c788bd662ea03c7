import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { rowOf, useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();

test('a tenant is made at its first use and found afterwards, also by others', async () => {
  const made = await makeTenantQueries(database).ensure('shop');
  expect(await makeTenantQueries(database).ensure('shop')).toEqual(made);
  expect(await makeTenantQueries(database).find('shop')).toEqual(made);
});

test('names differ by case', async () => {
  const tenants = makeTenantQueries(database);
  const [lower, upper] = [await tenants.ensure('case'), await tenants.ensure('CASE')];
  expect(lower.id).not.toBe(upper.id);
});

test('looking for a tenant makes none', async () => {
  expect(await makeTenantQueries(database).find('nobody')).toBeUndefined();
  expect(await rowOf(database, "SELECT count(*) FROM tenants WHERE name = 'nobody'")).toEqual({ count: 0 });
});

test('many first uses at once make one tenant', async () => {
  const processes = Array.from({ length: 20 }, () => makeTenantQueries(database));
  const made = await Promise.all(processes.map((tenants) => tenants.ensure('crowd')));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
});
