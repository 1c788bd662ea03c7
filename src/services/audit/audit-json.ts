import type { AuditEntry, ChainReport, UnsealedEntries } from '../../model/audit.ts';
import type { VerificationEvent } from './audit-log.ts';

/** Converts an entry to its JSON format, which the API and the command line share. */
export function toEntryRecord({ at, keyId, details, position, hash, ...entry }: AuditEntry) {
  return { ...entry, at: at.toISOString(), key_id: keyId, details: { ...details }, position, hash };
}

/** Converts batches of entries to lines of JSON. */
export async function* toEntryLines(batches: AsyncIterable<readonly AuditEntry[]>): AsyncGenerator<string> {
  for await (const entries of batches)
    yield entries.map((entry) => `${JSON.stringify(toEntryRecord(entry))}\n`).join('');
}

/** Writes the result of a verification as JSON, piece by piece. Spaces keep the connection open during long chains. */
export async function* toVerificationJson(events: AsyncIterable<VerificationEvent>): AsyncGenerator<string> {
  let isIntact = true;
  let separator = '';
  yield '{"chains":[';
  for await (const event of events) {
    if (event.kind === 'progress') yield ' ';
    if (event.kind === 'chain') {
      isIntact &&= event.report.damage === null;
      yield separator + JSON.stringify(toChainRecord(event.report));
      separator = ',';
    }
    if (event.kind === 'unsealed')
      yield `],"unsealed":${JSON.stringify(toUnsealedRecord(event.unsealed))},"intact":${isIntact}}`;
  }
}

function toChainRecord({ tenantId, tenant, removed, checked, head, damage }: ChainReport) {
  return { tenant, tenant_id: tenantId, removed, checked, head, damage };
}

function toUnsealedRecord({ total, entries }: UnsealedEntries) {
  return { total, entries: entries.map((entry) => ({ ...entry, at: entry.at.toISOString() })) };
}
