import type { TenantKey } from './waiting-line.ts';

/** Tenants whose recent files killed a child. Each of them holds one place of a lane at most. */
export interface RestrainedTenants {
  /** Records that a file of this tenant ran into a limit, or crashed its child. */
  restrain(tenant: TenantKey): void;
  isRestrained(tenant: TenantKey): boolean;
}

/**
 * How long a file that killed its child counts. Long enough for both tries of every such file in a batch, short enough
 * that a tenant with one broken file is back at full speed soon.
 */
const restraintMs = 60_000;

/** Kept in memory: each process protects the children of its own. @param now a monotonic clock, in milliseconds. */
export function makeRestrainedTenants(now: () => number = () => performance.now()): RestrainedTenants {
  const until = new Map<TenantKey, number>();
  return {
    restrain(tenant) {
      // Entries that ran out are dropped here, so that the map never outgrows the tenants of one minute.
      for (const [other, end] of until) if (end <= now()) until.delete(other);
      until.set(tenant, now() + restraintMs);
    },
    isRestrained: (tenant) => (until.get(tenant) ?? 0) > now(),
  };
}
