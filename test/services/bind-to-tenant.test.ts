import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { defaultTenant, type Tenant } from '../../src/model/tenant.ts';
import { makeBindToTenant } from '../../src/services/tenants.ts';

const makeBind = (tenant?: Tenant) =>
  makeBindToTenant({
    tenants: { find: (name) => Promise.resolve(tenant?.name === name ? tenant : undefined) },
  });

test('restricts a caller without a tenant to the default tenant', async () => {
  const bindToTenant = makeBind({ id: 7, name: defaultTenant });
  expect(await bindToTenant(unrestrictedPrincipal)).toEqual({
    ...unrestrictedPrincipal,
    tenantId: 7,
    tenantName: defaultTenant,
  });
});

test('shows a caller nothing if the default tenant does not exist', async () => {
  expect((await makeBind()(unrestrictedPrincipal)).tenantId).toBe(0);
});

test('leaves a caller that is bound to a tenant as it is', async () => {
  const shopPrincipal = { ...unrestrictedPrincipal, tenantId: 8, tenantName: 'shop' };
  expect(await makeBind({ id: 7, name: defaultTenant })(shopPrincipal)).toBe(shopPrincipal);
});
