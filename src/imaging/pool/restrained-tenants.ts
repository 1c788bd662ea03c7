import type { TenantKey } from './scheduling.ts';

/** Tenants whose recent files killed a child. Each of them is limited to one place of a lane. */
export interface RestrainedTenants {
  /** Records that a file of this tenant exceeded a limit, or crashed its child. */
  restrain(tenant: TenantKey): void;
  isRestrained(tenant: TenantKey): boolean;
}

/**
 * How long a file that killed its child counts: long enough for both attempts of every such file in a batch, short
 * enough that a tenant with one broken file soon returns to full speed.
 */
const restraintMs = 60_000;

/** In memory: each process protects its own children. @param now a monotonic clock, in milliseconds. */
export function makeRestrainedTenants(now: () => number = () => performance.now()): RestrainedTenants {
  const until = new Map<TenantKey, number>();
  return {
    restrain(tenant) {
      // Expired entries are removed here, so that the map never exceeds the tenants of one minute.
      for (const [other, end] of until) if (end <= now()) until.delete(other);
      until.set(tenant, now() + restraintMs);
    },
    isRestrained: (tenant) => (until.get(tenant) ?? 0) > now(),
  };
}
