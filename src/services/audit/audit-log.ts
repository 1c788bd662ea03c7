import type { AuditFilter, AuditQueries } from '../../db/audit.ts';
import type { AuditChainQueries } from '../../db/audit-chains/audit-chains.ts';
import { AppError } from '../../errors.ts';
import type { AuditEntry, ChainReport, UnsealedEntries } from '../../model/audit.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import { assertTenantAllowed } from '../tenants.ts';

/** A part of the result of a verification. `progress` reports that the verification of a long chain continues. */
export type VerificationEvent =
  | { readonly kind: 'chain'; readonly report: ChainReport }
  | { readonly kind: 'progress' }
  | { readonly kind: 'unsealed'; readonly unsealed: UnsealedEntries };

/** Reads the audit log. A caller that is bound to a tenant sees only that tenant's entries. */
export interface AuditLog {
  /** Lists entries, newest first. @throws {AppError} `tenant_not_allowed`, `tenant_not_found`. */
  list(principal: Principal, filter: AuditFilter, page: PageRequest): Promise<Page<AuditEntry>>;
  /**
   * Returns all entries that match, oldest first, in batches.
   * @throws {AppError} `tenant_not_allowed`, `tenant_not_found`.
   */
  export(principal: Principal, filter: AuditFilter): Promise<AsyncIterable<readonly AuditEntry[]>>;
  /**
   * Recomputes the chains that the caller may see. Reports each chain, and then the entries that are not yet sealed.
   * @param tenantName restricts the verification to one tenant
   * @throws {AppError} `tenant_not_allowed`, `tenant_not_found`.
   */
  verify(principal: Principal, tenantName: string | undefined): Promise<AsyncIterable<VerificationEvent>>;
}

interface Dependencies {
  readonly audit: Pick<AuditQueries, 'list' | 'listFrom'>;
  readonly auditChains: Pick<
    AuditChainQueries,
    'nextChain' | 'listChainsOf' | 'verifyChain' | 'readUnsealed'
  >;
}

/** @see AuditLog */
export function makeAuditLog({ audit, auditChains }: Dependencies): AuditLog {
  /** Returns the chains that the caller asks for; `undefined` for all chains. A removed tenant is known by its entries. */
  async function selectChains(principal: Principal, tenantName: string | undefined) {
    assertTenantAllowed(principal, tenantName);
    if (principal.tenantId !== null) return [principal.tenantId];
    if (tenantName === undefined) return undefined;
    const chains = await auditChains.listChainsOf(tenantName);
    if (chains.length > 0) return chains;
    throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(tenantName)}.`);
  }

  return {
    async list(principal, filter, page) {
      await selectChains(principal, filter.tenant);
      return audit.list(principal, filter, page);
    },
    async export(principal, filter) {
      await selectChains(principal, filter.tenant);
      return exportBatches(audit, principal, filter);
    },
    async verify(principal, tenantName) {
      const chains = await selectChains(principal, tenantName);
      return verifyChains(auditChains, principal, chains);
    },
  };
}

async function* exportBatches(
  audit: Dependencies['audit'],
  principal: Principal,
  filter: AuditFilter,
): AsyncGenerator<readonly AuditEntry[]> {
  for (let afterId = 0; ; ) {
    const entries = await audit.listFrom(principal, filter, afterId);
    const last = entries.at(-1);
    if (!last) return;
    yield entries;
    afterId = last.id;
  }
}

async function* verifyChains(
  auditChains: Dependencies['auditChains'],
  principal: Principal,
  chains: readonly number[] | undefined,
): AsyncGenerator<VerificationEvent> {
  const unsealed = await auditChains.readUnsealed(principal, chains);
  for await (const chain of chains ?? listChains(auditChains)) yield* verifyChain(auditChains, chain);
  yield { kind: 'unsealed', unsealed };
}

async function* listChains({ nextChain }: Pick<AuditChainQueries, 'nextChain'>): AsyncGenerator<number> {
  for (let chain = await nextChain(-1); chain !== undefined; chain = await nextChain(chain)) yield chain;
}

/** Interval between two reports of progress, so that connections on which nothing is sent are not closed. */
const progressMs = 5_000;

async function* verifyChain(
  auditChains: Pick<AuditChainQueries, 'verifyChain'>,
  chain: number,
): AsyncGenerator<VerificationEvent> {
  const stop = new AbortController();
  const verification = auditChains.verifyChain(chain, stop.signal);
  try {
    for (;;) {
      const { promise: timeout, resolve } = Promise.withResolvers<undefined>();
      const timer = setTimeout(resolve, progressMs, undefined);
      const report = await Promise.race([verification, timeout]).finally(() => clearTimeout(timer));
      if (report) {
        yield { kind: 'chain', report };
        return;
      }
      yield { kind: 'progress' };
    }
  } finally {
    // If the reader has gone, nobody waits for the verification any more.
    verification.catch(() => undefined);
    stop.abort();
  }
}
