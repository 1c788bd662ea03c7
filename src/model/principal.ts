/** What a caller may do. */
export type Right = 'read' | 'write' | 'purge' | 'operate';

/**
 * Who calls: every service and every query takes it, so that access control is a rule and not a rewrite.
 * In open mode everyone is `openPrincipal`.
 */
export interface Principal {
  readonly subject: string;
  /** The only tenant whose data the caller sees; `null` means every tenant. */
  readonly tenantId: number | null;
  readonly rights: ReadonlySet<Right>;
}

/** The caller of an installation without access control: every right, every tenant. */
export const openPrincipal: Principal = {
  subject: 'open',
  tenantId: null,
  rights: new Set<Right>(['read', 'write', 'purge', 'operate']),
};

/** The service itself: sweepers and workers act on every tenant. */
export const systemPrincipal: Principal = { ...openPrincipal, subject: 'system' };
