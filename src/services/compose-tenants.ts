import type { ServiceConfig, ServiceParts } from './service-parts.ts';
import type { Services } from './services.ts';
import { type FindQuotas, makeFindQuotas, makeSettingsCache, type SettingsCache } from './settings-cache.ts';
import { defaultTenantSettings, makeManageTenantSettings } from './tenant-settings.ts';
import { makeBindToTenant, makeUsage } from './tenants.ts';

/** The settings of tenants, and the services for tenants. */
export interface ComposedTenants {
  readonly settings: SettingsCache;
  readonly findQuotas: FindQuotas;
  readonly services: Pick<Services, 'bindToTenant' | 'tenantSettings' | 'usage'>;
}

/** Wires the services for tenants. */
export function composeTenants(
  { queries, logger }: ServiceParts,
  { access, quotas }: ServiceConfig,
): ComposedTenants {
  const { tenants, tenantSettings, usage, quotas: quotaQueries } = queries;
  const defaults = defaultTenantSettings(access.delivery, quotas);
  const settings = makeSettingsCache({ queries: tenantSettings, defaults });
  return {
    settings,
    findQuotas: makeFindQuotas(settings),
    services: {
      bindToTenant: makeBindToTenant({ tenants }),
      tenantSettings: makeManageTenantSettings({
        queries: tenantSettings,
        cache: settings,
        defaults,
        logger,
      }),
      usage: makeUsage({ usage, quotas: quotaQueries, defaults }),
    },
  };
}
