/** What a caller may do. */
export type Permission = 'read' | 'write' | 'purge' | 'operate';

/** The origin of a request, for logs. */
export interface Caller {
  /** The connection's remote address: that of the client or of a proxy. */
  readonly address: string;
  /** The client's address as reported by a trusted proxy. */
  readonly forwardedFor?: string;
}

/**
 * The caller of a service. Services and queries take it as a parameter, so that access control can be added without
 * changing them. Today, all requests use `unrestrictedPrincipal`.
 */
export interface Principal {
  readonly subject: string;
  /** The only tenant that the caller can access; `null` allows all tenants. */
  readonly tenantId: number | null;
  readonly permissions: ReadonlySet<Permission>;
  /** Absent outside a request. */
  readonly caller?: Caller;
}

/** A caller with all permissions on all tenants: Vitrine has no access control. */
export const unrestrictedPrincipal: Principal = {
  subject: 'open',
  tenantId: null,
  permissions: new Set<Permission>(['read', 'write', 'purge', 'operate']),
};

/** Vitrine itself: workers and sweeps act on all tenants. */
export const systemPrincipal: Principal = { ...unrestrictedPrincipal, subject: 'system' };

/** Returns the log fields that identify a caller. They contain no secrets. */
export function callerFields({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
