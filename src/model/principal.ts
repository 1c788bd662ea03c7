/** What a caller may do. */
export type Right = 'read' | 'write' | 'purge' | 'operate';

/** Where a call came from, for logs. */
export interface Caller {
  /** Remote address of the connection: the client's, or a proxy's. */
  readonly address: string;
  /** The client's address as reported by a trusted proxy. */
  readonly forwardedFor?: string;
}

/**
 * Who calls: every service and every query takes it, so that access control is a rule and not a rewrite.
 * In open mode everyone is `openPrincipal`.
 */
export interface Principal {
  readonly subject: string;
  /** The only tenant whose data the caller sees; `null` means every tenant. */
  readonly tenantId: number | null;
  readonly rights: ReadonlySet<Right>;
  /** Absent if the call does not come from a request. */
  readonly caller?: Caller;
}

/** The caller of an installation without access control: every right, every tenant. */
export const openPrincipal: Principal = {
  subject: 'open',
  tenantId: null,
  rights: new Set<Right>(['read', 'write', 'purge', 'operate']),
};

/** The service itself: sweepers and workers act on every tenant. */
export const systemPrincipal: Principal = { ...openPrincipal, subject: 'system' };

/** The caller's fields of a log line: no secrets, and only known values. */
export function whoCalled({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
