/** What a principal may do. */
export type Permission = 'read' | 'write' | 'purge' | 'operate';

/** The origin of a request, for logs. */
export interface Caller {
  /** The connection's remote address, which belongs to the client or a proxy. */
  readonly address: string;
  /** The client's address as reported by a trusted proxy. */
  readonly forwardedFor?: string;
}

/**
 * The identity on whose behalf a service or query runs. It is a parameter of services and queries, so that access control can
 * be added without changing their signatures. Today, all requests use `unrestrictedPrincipal`.
 */
export interface Principal {
  readonly subject: string;
  /** The only tenant that the principal may access; `null` allows all tenants. */
  readonly tenantId: number | null;
  readonly permissions: ReadonlySet<Permission>;
  /** The origin of the request, if there is one. */
  readonly caller?: Caller;
}

/** The principal of all requests. It has all permissions for all tenants, because Vitrine has no access control. */
export const unrestrictedPrincipal: Principal = {
  subject: 'open',
  tenantId: null,
  permissions: new Set<Permission>(['read', 'write', 'purge', 'operate']),
};

/** The principal of workers and sweeps, which act on all tenants. */
export const systemPrincipal: Principal = { ...unrestrictedPrincipal, subject: 'system' };

/** Returns the log fields that identify a principal and its caller. They contain no secrets. */
export function callerFields({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
