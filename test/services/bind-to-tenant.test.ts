import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makeBindToTenant } from '../../src/services/tenants.ts';

// A principal is the identity on whose behalf a request runs. A principal may be restricted (bound) to one tenant.
const tenants = new Map([['shop', { id: 7, name: 'shop' }]]);
const bindToTenant = makeBindToTenant({ tenants: { find: (name) => Promise.resolve(tenants.get(name)) } });

test('restricts an unbound principal to the tenant', async () => {
  expect(await bindToTenant(unrestrictedPrincipal, 'shop')).toEqual({
    ...unrestrictedPrincipal,
    tenantId: 7,
  });
});

test('returns a principal that matches no tenant if the tenant does not exist', async () => {
  expect((await bindToTenant(unrestrictedPrincipal, 'new')).tenantId).toBe(0);
});

test('rejects a principal that is bound to a different tenant', async () => {
  const boundPrincipal = { ...unrestrictedPrincipal, tenantId: 8 };
  await expect(bindToTenant(boundPrincipal, 'shop')).rejects.toMatchObject({ code: 'tenant_not_found' });
  expect(await bindToTenant({ ...boundPrincipal, tenantId: 7 }, 'shop')).toMatchObject({ tenantId: 7 });
});
