import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { openRing } from '../../app/open-access.ts';
import type { Config } from '../../config.ts';
import { ConfigError } from '../../errors.ts';
import { allScopes, type Role, roleNames, type Scope } from '../../model/access.ts';
import type { ApiKey } from '../../model/api-key.ts';
import { type CreatedApiKey, makeApiKeys } from '../../services/access/api-keys.ts';
import type { Revocation } from '../../db/api-key-changes.ts';
import { makeAuditSealer } from '../../services/audit/seal-audit-log.ts';
import { type ApiClient, makeApiClient } from '../api-client.ts';
import { openInstallationDatabase, operator } from '../installation-database.ts';
import { findServerUrl, keyFor } from '../server-connection.ts';

/** A key to create. */
export interface KeyRequest {
  readonly name: string;
  readonly role: Role | undefined;
  readonly scopes: readonly Scope[];
  readonly tenantName: string | undefined;
  readonly expiresInSeconds: number | undefined;
}

/** Manages keys through a server or in the database. */
export interface KeyManager {
  create(request: KeyRequest): Promise<CreatedApiKey>;
  /** Returns all keys, newest first. */
  list(): Promise<ApiKey[]>;
  rotate(id: string, overlapSeconds: number): Promise<CreatedApiKey>;
  /** @param withDescendants whether to revoke the keys that were created or rotated from it, too */
  revoke(id: string, withDescendants: boolean): Promise<Revocation>;
  close(): Promise<void>;
}

/**
 * Opens the keys of the server at `url` or, by default, of this installation: through the server that uses the embedded
 * database, because only one process can open it, or else directly in the database.
 */
export async function openKeyManager(config: Config, url: string | undefined): Promise<KeyManager> {
  const isEmbedded = config.database.kind === 'embedded';
  const runningUrl = url ?? (isEmbedded ? findServerUrl(config.dataDir) : undefined);
  if (runningUrl === undefined) return openInDatabase(config);
  return throughServer(makeApiClient({ baseUrl: runningUrl, apiKey: keyFor(config, url) }));
}

/** Keys per request. */
const pageSize = 1_000;

async function openInDatabase(config: Config): Promise<KeyManager> {
  // A key that was hashed with a different secret than the server's would never work.
  const { secretProblems } = config.access;
  if (secretProblems.length > 0) throw new ConfigError(secretProblems);
  const database = await openInstallationDatabase(config);
  const { queries, logger } = database;
  const { apiKeys, tenants, auditChains } = queries;
  const authenticate = { forget: () => undefined };
  const keys = makeApiKeys({ apiKeys, tenants, ring: openRing(config), authenticate, logger });
  return {
    create: (request) => keys.create(operator, request),
    list: () => collect((after) => keys.list(operator, pageSize, after)),
    rotate: (id, overlapSeconds) => keys.rotate(operator, id, overlapSeconds),
    revoke: (id, withDescendants) =>
      withDescendants ? keys.revokeWithDescendants(operator, id) : keys.revoke(operator, id),
    async close() {
      // No server may be running that would seal the entries of this command.
      await makeAuditSealer({ auditChains, logger }).sealNow();
      await database.close();
    },
  };
}

async function collect(readPage: (after: string | undefined) => Promise<ApiKey[]>): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  for (;;) {
    const page = await readPage(keys.at(-1)?.id);
    keys.push(...page);
    if (page.length < pageSize) return keys;
  }
}

const timeField = z.coerce.date().nullable();
const keyRecord = z
  .object({
    id: z.string(),
    name: z.string(),
    tenant: z.string().nullable(),
    role: z.enum(roleNames).nullable(),
    scopes: z.array(z.enum(allScopes)),
    created_by: z.string(),
    // An older server does not say these.
    has_secret: z.boolean().default(true),
    has_newest_secret: z.boolean().default(true),
    replaced_id: z.string().nullable(),
    created_at: z.coerce.date(),
    expires_at: timeField,
    revoked_at: timeField,
    last_used_at: timeField,
    key: z.string().optional(),
    tenant_created: z.boolean().default(false),
  })
  .transform(
    (record): CreatedApiKey => ({
      id: record.id,
      name: record.name,
      tenant: record.tenant,
      role: record.role,
      scopes: record.scopes,
      createdBy: record.created_by,
      hasSecret: record.has_secret,
      hasNewestSecret: record.has_newest_secret,
      replacedId: record.replaced_id,
      createdAt: record.created_at,
      expiresAt: record.expires_at,
      revokedAt: record.revoked_at,
      lastUsedAt: record.last_used_at,
      text: record.key ?? '',
      isTenantNew: record.tenant_created,
    }),
  );
const pageRecord = z.object({ items: z.array(keyRecord) });
const revocationRecord = z
  .object({
    revoked: z.array(z.object({ id: z.string(), name: z.string() })),
    active_descendants: z.number(),
  })
  .transform(
    (record): Revocation => ({ revoked: record.revoked, activeDescendants: record.active_descendants }),
  );

/** A request is sent again if its response is lost. It must not create a second key then. */
const idempotencyKey = () => ({ 'idempotency-key': randomUUID() });

function throughServer(client: ApiClient): KeyManager {
  return {
    create: ({ name, role, scopes, tenantName, expiresInSeconds }) =>
      client.postJson(
        '/v1/keys',
        { name, role, scopes, tenant: tenantName, expires_in: expiresInSeconds },
        keyRecord,
        undefined,
        idempotencyKey(),
      ),
    list: () =>
      collect(async (after) => {
        const query = after === undefined ? '' : `&after=${after}`;
        return (await client.getJson(`/v1/keys?limit=${pageSize}${query}`, pageRecord)).items;
      }),
    rotate: (id, overlap) =>
      client.postJson(
        `/v1/keys/${encodeURIComponent(id)}/rotate`,
        { overlap },
        keyRecord,
        undefined,
        idempotencyKey(),
      ),
    revoke: (id, withDescendants) =>
      client.delete(
        `/v1/keys/${encodeURIComponent(id)}${withDescendants ? '?descendants=true' : ''}`,
        revocationRecord,
      ),
    close: () => Promise.resolve(),
  };
}
