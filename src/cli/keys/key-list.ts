import type { ApiKey } from '../../model/api-key.ts';

/** Formats keys as a table. */
export function formatList(keys: readonly ApiKey[], now: Date): string {
  if (keys.length === 0) return 'There are no API keys.\n';
  // The list is newest first. If a key was replaced twice, the newest replacement counts.
  const replacements = new Map<string, string>();
  for (const { id, replacedId } of keys)
    if (replacedId !== null && !replacements.has(replacedId)) replacements.set(replacedId, id);
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.tenant ?? '(all)',
    key.role ?? key.scopes.join(','),
    describeState(key, replacements.get(key.id), now),
    key.lastUsedAt === null ? 'never' : formatTime(key.lastUsedAt),
    key.createdBy,
  ]);
  const table = [['id', 'name', 'tenant', 'role or scopes', 'state', 'last used', 'created by'], ...rows];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function describeState(key: ApiKey, replacement: string | undefined, now: Date): string {
  const { revokedAt, expiresAt, hasSecret, hasNewestSecret } = key;
  if (revokedAt !== null) return `revoked ${formatTime(revokedAt)}`;
  if (!hasSecret) return 'unusable (old secret)';
  if (expiresAt !== null && expiresAt <= now) return `expired ${formatTime(expiresAt)}`;
  const secret = hasNewestSecret ? '' : ', needs an old secret';
  if (expiresAt === null) return `active${secret}`;
  if (replacement !== undefined) return `replaced by ${replacement}, until ${formatTime(expiresAt)}${secret}`;
  return `expires ${formatTime(expiresAt)}${secret}`;
}

/** Formats a time in UTC, such as `2026-11-27 12:14 UTC`. */
export function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Converts a key to the format of `/v1/keys`. */
export function toRecord(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant,
    role: key.role,
    scopes: key.scopes,
    created_by: key.createdBy,
    has_secret: key.hasSecret,
    has_newest_secret: key.hasNewestSecret,
    replaced_id: key.replacedId,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
  };
}
