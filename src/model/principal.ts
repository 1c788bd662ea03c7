/** What a caller may do. */
export type Right = 'read' | 'write' | 'purge' | 'operate';

/** Where a call came from, for logs. */
export interface Caller {
  /** Address of the other end of the connection: that of the client, or of a proxy. */
  readonly address: string;
  /** Address of the client as a trusted proxy gives it. */
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
  /** Absent when no request is behind the call. */
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

/** The caller's part of a line in the log: no secret, and no more than is known. */
export function whoCalled({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
