import type { AuditFilter, AuditQueries } from '../../db/audit.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import { assertTenantAllowed } from '../tenants.ts';

/** Reads the audit log. A caller that is bound to a tenant sees only that tenant's entries. */
export interface AuditLog {
  /** Lists entries, newest first. @throws {AppError} `tenant_not_allowed`. */
  list(principal: Principal, filter: AuditFilter, page: PageRequest): Promise<Page<AuditEntry>>;
  /** Returns all entries that match, oldest first, in batches. @throws {AppError} `tenant_not_allowed`. */
  export(principal: Principal, filter: AuditFilter): AsyncIterable<readonly AuditEntry[]>;
}

/** @see AuditLog */
export function makeAuditLog({
  audit,
}: {
  readonly audit: Pick<AuditQueries, 'list' | 'listFrom'>;
}): AuditLog {
  return {
    async list(principal, filter, page) {
      assertTenantAllowed(principal, filter.tenant);
      return audit.list(principal, filter, page);
    },
    async *export(principal, filter) {
      assertTenantAllowed(principal, filter.tenant);
      for (let afterId = 0; ; ) {
        const entries = await audit.listFrom(principal, filter, afterId);
        const last = entries.at(-1);
        if (!last) return;
        yield entries;
        afterId = last.id;
      }
    },
  };
}
