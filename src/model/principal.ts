/** A permission of a caller. */
export type Right = 'read' | 'write' | 'purge' | 'operate';

/** The origin of a request, for logs. */
export interface Caller {
  /** Remote address of the connection: of the client, or of a proxy. */
  readonly address: string;
  /** The client's address as reported by a trusted proxy. */
  readonly forwardedFor?: string;
}

/**
 * The caller of a service. All services and queries take it, so that access control can be added without changing them.
 * Today, all requests use `openPrincipal`.
 */
export interface Principal {
  readonly subject: string;
  /** The only tenant that the caller can access; `null` for all tenants. */
  readonly tenantId: number | null;
  readonly rights: ReadonlySet<Right>;
  /** Absent if there is no request. */
  readonly caller?: Caller;
}

/** A caller with all rights on all tenants: there is no access control. */
export const openPrincipal: Principal = {
  subject: 'open',
  tenantId: null,
  rights: new Set<Right>(['read', 'write', 'purge', 'operate']),
};

/** Vitrine itself: workers and sweepers act on all tenants. */
export const systemPrincipal: Principal = { ...openPrincipal, subject: 'system' };

/** Returns the log fields of a caller. They contain no secrets. */
export function whoCalled({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
