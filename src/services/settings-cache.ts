import { LRUCache } from 'lru-cache';
import type { TenantSettingsQueries } from '../db/tenant-settings.ts';
import type { Quotas } from '../model/quota.ts';
import { type TenantSettings, toQuotas } from '../model/tenant-settings.ts';
import { runUnbound } from '../tenant-scope.ts';

/** The settings that apply to tenants, kept in memory for a few seconds, so that requests cause no query. */
export interface SettingsCache {
  /** Returns the settings if they are in memory. */
  cached(tenantId: number): TenantSettings | undefined;
  /** Returns the settings, reading them if necessary. An unknown tenant has the installation's defaults. */
  find(tenantId: number): Promise<TenantSettings>;
  /** Forgets the settings of a tenant that this process has just changed. */
  forget(tenantId: number): void;
}

/** Returns the quotas of a tenant. */
export type FindQuotas = (tenantId: number) => Promise<Quotas>;

/** @see FindQuotas */
export function makeFindQuotas(settings: Pick<SettingsCache, 'find'>): FindQuotas {
  return async (tenantId) => toQuotas(await settings.find(tenantId));
}

/** How long settings are trusted. A change must work within 5 s in every process. */
const trustMs = 3_000;

/** Age at which settings that are in use are read again in the background, so that no request waits for them. */
const refreshMs = 1_500;

interface Entry {
  readonly settings: TenantSettings;
  /** When the read began, on the clock of `now`. */
  readonly readAt: number;
}

interface Dependencies {
  readonly queries: Pick<TenantSettingsQueries, 'find'>;
  readonly defaults: TenantSettings;
  readonly now?: () => number;
}

/** @see SettingsCache */
export function makeSettingsCache({
  queries,
  defaults,
  now = () => performance.now(),
}: Dependencies): SettingsCache {
  const entries = new LRUCache<number, Entry>({ max: 10_000 });
  const reads = new Map<number, Promise<TenantSettings>>();

  function startRead(tenantId: number): Promise<TenantSettings> {
    const running = reads.get(tenantId);
    if (running) return running;
    const readAt = now();
    // Unbound, because requests of other tenants may share the result.
    const started = runUnbound(() => queries.find(tenantId)).then((own) => {
      const settings = { ...defaults, ...own };
      // After `forget`, this read may be older than the change.
      if (reads.get(tenantId) === started) entries.set(tenantId, { settings, readAt });
      return settings;
    });
    reads.set(tenantId, started);
    const end = () => {
      if (reads.get(tenantId) === started) reads.delete(tenantId);
    };
    started.then(end, end);
    return started;
  }

  function cached(tenantId: number): TenantSettings | undefined {
    const entry = entries.get(tenantId);
    if (!entry) return undefined;
    const age = now() - entry.readAt;
    if (age >= trustMs) return undefined;
    // A failed read is repeated once the settings are no longer trusted.
    if (age >= refreshMs) startRead(tenantId).catch(() => undefined);
    return entry.settings;
  }

  return {
    cached,
    find: async (tenantId) => cached(tenantId) ?? startRead(tenantId),
    forget(tenantId) {
      entries.delete(tenantId);
      reads.delete(tenantId);
    },
  };
}
