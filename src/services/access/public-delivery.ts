import type { Scope } from '../../model/access.ts';
import { type Identity, publicReader } from '../../model/principal.ts';
import type { TenantSettings } from '../../model/tenant-settings.ts';
import type { SettingsCache } from '../settings-cache.ts';
import type { ImageTenants } from './image-tenants.ts';

/** Decides whether everyone may read the renditions of an image that is addressed by its UUID. */
export interface PublicDelivery {
  /**
   * Returns the identity of everyone; `null` if a key or a signed link is needed; `undefined` if `find` must decide. This
   * method is synchronous for speed, because most reads are served from memory.
   */
  cached(uuid: string): Identity | null | undefined;
  /** Works like `cached`, but reads what is not in memory. */
  find(uuid: string): Promise<Identity | null>;
}

/** Public delivery where it makes no difference, because every caller may do everything. */
export const noPublicDelivery: PublicDelivery = { cached: () => null, find: () => Promise.resolve(null) };

interface Dependencies {
  readonly imageTenants: ImageTenants;
  readonly settings: Pick<SettingsCache, 'cached' | 'find'>;
  readonly defaults: Pick<TenantSettings, 'delivery'>;
}

/** An id that no tenant has, because ids start at 1. */
const noTenantId = 0;

const readerScopes: ReadonlySet<Scope> = new Set<Scope>(['images.read']);

/** @see PublicDelivery */
export function makePublicDelivery({ imageTenants, settings, defaults }: Dependencies): PublicDelivery {
  return {
    cached(uuid) {
      const tenantId = imageTenants.cached(uuid);
      if (tenantId === undefined) return undefined;
      const tenant = settings.cached(tenantId);
      return tenant && identityFor(tenant, tenantId);
    },
    async find(uuid) {
      const tenantId = await imageTenants.find(uuid);
      // The installation's default decides on unknown images, so that the response does not tell who would own them.
      if (tenantId === undefined) return identityFor(defaults, noTenantId);
      return identityFor(await settings.find(tenantId), tenantId);
    },
  };
}

/** Everyone may read renditions of this tenant only, so that the route can show nothing else. */
function identityFor({ delivery }: Pick<TenantSettings, 'delivery'>, tenantId: number): Identity | null {
  return delivery === 'public' ? { ...publicReader, tenantId, scopes: readerScopes } : null;
}
