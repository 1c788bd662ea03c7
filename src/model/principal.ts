import { allScopes, type Scope } from './access.ts';

/** Where a request comes from, for logs. */
export interface Caller {
  /** The connection's remote address: that of the client or of a proxy. */
  readonly address: string;
  /** The client's address as reported by a trusted proxy. */
  readonly forwardedFor?: string;
}

/** Who a caller is and what it may do. */
export interface Identity {
  /** Describes the caller in logs. */
  readonly subject: string;
  /** Id of the API key; `null` without a key. */
  readonly keyId: string | null;
  /** The only tenant that the caller can access; `null` allows all tenants. */
  readonly tenantId: number | null;
  /** Name of that tenant. */
  readonly tenantName: string | null;
  readonly scopes: ReadonlySet<Scope>;
}

/** The caller of a service. Services and queries take it as a parameter. */
export interface Principal extends Identity {
  /** Absent outside a request. */
  readonly caller?: Caller;
}

/** The caller of all requests. It has all rights on all tenants: every caller, with `AUTH=open`. */
export const unrestrictedPrincipal: Principal = {
  subject: 'open',
  keyId: null,
  tenantId: null,
  tenantName: null,
  scopes: new Set(allScopes),
};

/** Vitrine itself: workers and sweeps act on all tenants. */
export const systemPrincipal: Principal = { ...unrestrictedPrincipal, subject: 'system' };

/**
 * Returns whether the caller may see the queries of the URLs that images were imported from: with `AUTH=keys`, only callers
 * that are bound to the tenant, and not the operators of the installation.
 */
export function seesSourceQueries({ tenantId, subject }: Pick<Principal, 'tenantId' | 'subject'>): boolean {
  return tenantId !== null || subject === unrestrictedPrincipal.subject;
}

/** Someone without a key who reads what everyone may read. Has no scopes until a tenant is known. */
export const publicReader: Identity = {
  subject: 'public delivery',
  keyId: null,
  tenantId: null,
  tenantName: null,
  scopes: new Set(),
};

/** Whether everyone would get the same response as this caller. */
export function isEveryone({ subject }: Identity): boolean {
  return subject === unrestrictedPrincipal.subject || subject === publicReader.subject;
}

/** Returns the log fields that identify a caller. They contain no secrets. */
export function callerFields({ subject, caller }: Principal): { readonly subject: string } & Partial<Caller> {
  return { subject, ...caller };
}
