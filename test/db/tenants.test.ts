import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { selectRow, useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();

test('creates a tenant on first use, and finds it in every process afterwards', async () => {
  const tenant = await makeTenantQueries(database).ensure('shop');
  expect(await makeTenantQueries(database).ensure('shop')).toEqual(tenant);
  expect(await makeTenantQueries(database).find('shop')).toEqual(tenant);
});

test('distinguishes tenant names by case', async () => {
  const tenants = makeTenantQueries(database);
  const [lowerCaseTenant, upperCaseTenant] = [await tenants.ensure('case'), await tenants.ensure('CASE')];
  expect(lowerCaseTenant.id).not.toBe(upperCaseTenant.id);
});

test('does not create a tenant when looking up an unknown name', async () => {
  expect(await makeTenantQueries(database).find('unknown')).toBeUndefined();
  expect(await selectRow(database, "SELECT count(*) FROM tenants WHERE name = 'unknown'")).toEqual({
    count: 0,
  });
});

test('creates one tenant for many concurrent first uses', async () => {
  const processes = Array.from({ length: 20 }, () => makeTenantQueries(database));
  const createdTenants = await Promise.all(processes.map((tenants) => tenants.ensure('concurrent')));
  expect(new Set(createdTenants.map(({ id }) => id)).size).toBe(1);
});
