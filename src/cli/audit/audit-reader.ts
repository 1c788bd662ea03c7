import { z } from 'zod';
import type { Config } from '../../config.ts';
import type { AuditAction } from '../../model/audit.ts';
import { toEntryLines, toVerificationJson } from '../../services/audit/audit-json.ts';
import { makeAuditLog } from '../../services/audit/audit-log.ts';
import { type ApiClient, makeApiClient } from '../api-client.ts';
import { openInstallationDatabase, operator } from '../installation-database.ts';
import { findServerUrl, keyFor } from '../server-connection.ts';

/** Selects entries to export. */
export interface ExportFilter {
  readonly tenant: string | undefined;
  readonly since: Date | undefined;
  readonly until: Date | undefined;
  readonly action: AuditAction | undefined;
  /** Id of a key, or the name of an actor without one. */
  readonly actor: string | undefined;
}

const verificationRecord = z.object({
  chains: z.array(
    z.object({
      tenant: z.string().nullable(),
      tenant_id: z.number().nullable(),
      removed: z.number(),
      checked: z.number(),
      head: z.object({ position: z.number(), hash: z.string() }).nullable(),
      damage: z.object({ position: z.number(), id: z.number().nullable(), reason: z.string() }).nullable(),
    }),
  ),
  unsealed: z.object({
    total: z.number(),
    entries: z.array(
      z.object({ id: z.number(), at: z.string(), action: z.string(), target: z.string().nullable() }),
    ),
  }),
  intact: z.boolean(),
});

/** The result of a verification, as `/v1/audit/verification` returns it. */
export type Verification = z.output<typeof verificationRecord>;

/** Reads the audit log through a server or in the database. */
export interface AuditReader {
  /** @param tenant restricts the verification to one tenant */
  verify(tenant: string | undefined): Promise<Verification>;
  /** Returns the entries as NDJSON, oldest first. */
  export(filter: ExportFilter): Promise<AsyncIterable<string | Uint8Array>>;
  close(): Promise<void>;
}

/**
 * Opens the audit log of the server at `url` or, by default, of this installation: through the server that uses the embedded
 * database, because only one process can open it, or else directly in the database.
 */
export async function openAuditReader(config: Config, url: string | undefined): Promise<AuditReader> {
  const isEmbedded = config.database.kind === 'embedded';
  const runningUrl = url ?? (isEmbedded ? findServerUrl(config.dataDir) : undefined);
  if (runningUrl === undefined) return openInDatabase(config);
  return throughServer(makeApiClient({ baseUrl: runningUrl, apiKey: keyFor(config, url) }));
}

async function openInDatabase(config: Config): Promise<AuditReader> {
  const database = await openInstallationDatabase(config);
  const audit = makeAuditLog(database.queries);
  return {
    async verify(tenant) {
      const pieces = await Array.fromAsync(toVerificationJson(await audit.verify(operator, tenant)));
      return verificationRecord.parse(JSON.parse(pieces.join('')));
    },
    export: async (filter) => toEntryLines(await audit.export(operator, filter)),
    close: () => database.close(),
  };
}

function throughServer(client: ApiClient): AuditReader {
  return {
    verify: (tenant) => client.getJson(`/v1/audit/verification${toQuery({ tenant })}`, verificationRecord),
    export: ({ since, until, ...filter }) =>
      client.getStream(
        `/v1/audit/export${toQuery({ ...filter, since: since?.toISOString(), until: until?.toISOString() })}`,
      ),
    close: () => Promise.resolve(),
  };
}

function toQuery(parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value);
  return query.size > 0 ? `?${query.toString()}` : '';
}
