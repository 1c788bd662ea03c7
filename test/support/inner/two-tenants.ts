import type { Database } from '../../../src/db/database.ts';
import { selectRows } from './database.ts';

/** SQL that inserts one row of a tenant into each table. The tenant's name and id are the same in all of them. */
const insertTenant = (name: string, digit: string) => `
  INSERT INTO tenants (name) VALUES ('${name}');
  INSERT INTO images (uuid, tenant_id, status, content_hash, original_filename)
  SELECT gen_random_uuid(), id, 'completed', repeat('${digit}', 64), '${name}.jpg' FROM tenants WHERE name = '${name}';
  INSERT INTO images (uuid, tenant_id, status, content_hash, original_filename)
  SELECT gen_random_uuid(), id, 'completed', repeat('${digit}', 63) || 'f', '${name} again.jpg' FROM tenants WHERE name = '${name}';
  INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
  SELECT id, 'card', 'r', '${name}/' || id, content_hash, 1, 1, 1, 85, 'jpeg' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO variant_claims (image_id, preset, format, density, recipe, token, claimed_until)
  SELECT id, 'card', 'webp', 1, 'r', gen_random_uuid(), now() FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO image_references (image_id, reference) SELECT id, '${name}' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
  SELECT max(id), min(id), 1, 1, '${name}' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO duplicate_verdicts (tenant_id, content_hash, other_hash, verdict, decided_by)
  SELECT tenant_id, min(content_hash), max(content_hash), 'same', '${name}' FROM images WHERE original_filename LIKE '${name}%'
  GROUP BY tenant_id;
  INSERT INTO duplicate_resolutions (image_id, kept_id, tenant_id, group_id, moved_references)
  SELECT max(id), min(id), tenant_id, 1, 1 FROM images WHERE original_filename LIKE '${name}%' GROUP BY tenant_id;
  INSERT INTO jobs (kind, image_id, tenant_id, state, error, history)
  SELECT 'derive', id, tenant_id, 'failed', '${name}', '[]' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO fingerprints (tenant_id, content_hash, version, hash, quality, aspect, thumbnail)
  SELECT tenant_id, content_hash, 1, ('x' || content_hash)::bit(256), 1, 1, '' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
  SELECT tenant_id, content_hash, 0, ('x' || content_hash)::bit(256), '{1}' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO embeddings (tenant_id, content_hash, space, vector)
  SELECT tenant_id, content_hash, '${name}', '[1,2]' FROM images WHERE original_filename LIKE '${name}%';
  INSERT INTO vector_indexes (tenant_id, space, index_name, vectors, ef_search)
  SELECT id, '${name}', '${name}', 1, 1 FROM tenants WHERE name = '${name}';
  INSERT INTO search_spaces (tenant_id, space) SELECT id, '${name}' FROM tenants WHERE name = '${name}';
  INSERT INTO imports (uuid, tenant_id, total) SELECT gen_random_uuid(), id, 1 FROM tenants WHERE name = '${name}';
  INSERT INTO import_lines (import_id, line, url, tenant, outcome)
  SELECT i.id, 1, 'u', '${name}', 'new' FROM imports i JOIN tenants t ON t.id = i.tenant_id AND t.name = '${name}';
  INSERT INTO usage_totals (tenant_id, kind, preset, count, bytes) SELECT id, 'image', '', 1, 1 FROM tenants WHERE name = '${name}';
  INSERT INTO api_keys (id, name, tenant_id, scopes, secret_id, hash, created_by)
  SELECT repeat('${digit}', 16), '${name}', id, '{}', 's', decode(repeat('${digit}', 64), 'hex'), 'x' FROM tenants WHERE name = '${name}';
  INSERT INTO idempotent_requests (owner, idempotency_key, request_hash, running_until)
  SELECT 'key ' || id, '${name}', hash, now() FROM api_keys WHERE name = '${name}';
  INSERT INTO audit_log (tenant_id, tenant, actor, action) SELECT id, name, 'x', 'image.create' FROM tenants WHERE name = '${name}';
  INSERT INTO campaigns (tenant_id, presets, images, files, created_by) SELECT id, '{card}', 1, 1, 'x' FROM tenants WHERE name = '${name}';
  INSERT INTO import_counts (tenant_id, day, count) SELECT id, now(), 1 FROM tenants WHERE name = '${name}';
  INSERT INTO audit_chains (tenant_id, last_position, last_hash) SELECT id, 0, '' FROM tenants WHERE name = '${name}';`;

/** Ids of two tenants. */
export interface TwoTenants {
  readonly shop: number;
  readonly rival: number;
}

/** Inserts two tenants, each with at least one row in each table that contains rows of tenants. */
export async function insertTwoTenants(database: Database): Promise<TwoTenants> {
  await database.runScript(insertTenant('shop', 'a'));
  await database.runScript(insertTenant('rival', 'b'));
  const rows = await selectRows<{ id: number; name: string }>(database, 'SELECT id, name FROM tenants');
  const idOf = (name: string) => rows.find((row) => row.name === name)?.id ?? 0;
  return { shop: idOf('shop'), rival: idOf('rival') };
}

/** Tables without rows of tenants. Bound transactions that switch to the tenant role have no access to them. */
const tablesOfInstallation = [
  'installation',
  'presets_in_force',
  'request_counts',
  'schema_migrations',
  'sweep_passes',
];

/** A table with rows of tenants. */
export interface TenantTable {
  readonly name: string;
  /** Columns that a statement may write. */
  readonly columns: readonly string[];
}

/** Lists all tables except those without rows of tenants. A table that a migration adds is therefore tested too. */
export function listTenantTables(database: Database): Promise<TenantTable[]> {
  return selectRows<TenantTable>(
    database,
    `SELECT c.relname AS name, array_agg(quote_ident(a.attname)) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attidentity = '' AND a.attgenerated = ''
       AND c.relname NOT IN (${tablesOfInstallation.map((table) => `'${table}'`).join(', ')})
     GROUP BY c.relname ORDER BY c.relname`,
  );
}

/** Returns the tables and views that row-level security does not protect. */
export async function listUnprotected(database: Database): Promise<string[]> {
  const tables = (await listTenantTables(database)).map(({ name }) => `'${name}'`).join(', ');
  const rows = await selectRows<{ name: string }>(
    database,
    `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND (
       c.relname IN (${tables}) AND NOT (c.relrowsecurity AND c.relforcerowsecurity
         AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*' AND p.polpermissive))
       OR c.relkind IN ('v', 'm') AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
     ORDER BY c.relname`,
  );
  return rows.map(({ name }) => name);
}
