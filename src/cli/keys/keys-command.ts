import type { Config } from '../../config.ts';
import { allScopes, isScope, type Role, roleNames, type Scope } from '../../model/access.ts';
import type { ApiKey } from '../../model/api-key.ts';
import { UsageError } from '../options.ts';
import { reportRequestErrors } from '../request-errors.ts';
import type { Output } from '../terminal.ts';
import { type CreatedKey, type KeyManager, openKeyManager } from './key-manager.ts';

/** Options of `vitrine keys`, as given on the command line. */
export interface KeysCommandOptions {
  readonly config: Config;
  /** The action, and the id of the key for actions on one key. */
  readonly inputs: readonly string[];
  readonly url: string | undefined;
  readonly name: string | undefined;
  readonly role: string | undefined;
  readonly tenant: string | undefined;
  readonly scopes: readonly string[];
  readonly expires: string | undefined;
  readonly overlap: string | undefined;
  readonly descendants: boolean;
  readonly json: boolean;
  readonly output: Output;
  readonly errorOutput: Output;
}

type Action = (keys: KeyManager) => Promise<string>;

/** Runs `vitrine keys` and returns the exit code. @throws {UsageError} */
export async function runKeysCommand(options: KeysCommandOptions): Promise<number> {
  const action = parseAction(options);
  const keys = await openKeyManager(options.config, options.url);
  try {
    return await reportRequestErrors(options.errorOutput, async () => {
      options.output.write(await action(keys));
      return 0;
    });
  } finally {
    await keys.close();
  }
}

function parseAction(options: KeysCommandOptions): Action {
  const [name = '', id, ...rest] = options.inputs;
  if (rest.length > 0) throw new UsageError(`Unexpected argument "${rest[0]}".`);
  if (name === 'create' && id === undefined) return parseCreate(options);
  if (name === 'list' && id === undefined)
    return async (keys) => {
      const all = await keys.list();
      return options.json ? toJson(all.map(toRecord)) : formatList(all, new Date());
    };
  if (name === 'rotate' && id !== undefined) {
    const overlap = parseDuration('overlap', options.overlap ?? '1d');
    return async (keys) => formatCreated(await keys.rotate(id, overlap), options.json);
  }
  if (name === 'revoke' && id !== undefined)
    return async (keys) => {
      await keys.revoke(id, options.descendants);
      const others = options.descendants ? ' and all keys that were created or rotated from it' : '';
      return options.json ? toJson({ revoked: id }) : `Revoked the key ${id}${others}.\n`;
    };
  if ((name === 'rotate' || name === 'revoke') && id === undefined)
    throw new UsageError(`${name} needs the id of a key; \`vitrine keys list\` shows the ids.`);
  throw new UsageError('Specify one of: create, list, rotate <id>, revoke <id>.');
}

function parseCreate(options: KeysCommandOptions): Action {
  const { config, url, name, role, tenant, scopes, expires, json, errorOutput } = options;
  if (!name?.trim()) throw new UsageError('Specify what the key is for with --name.');
  if (role === undefined && scopes.length === 0)
    throw new UsageError(`Specify --role (${roleNames.join(', ')}) or at least one --scope.`);
  const request = {
    name: name.trim(),
    role: role === undefined ? undefined : parseRole(role),
    scopes: scopes.map(parseScope),
    tenantName: tenant,
    expiresInSeconds: expires === undefined ? undefined : parseDuration('expires', expires),
  };
  return async (keys) => {
    const created = await keys.create(request);
    // The mode of a server elsewhere is unknown.
    if (url === undefined && config.access.mode === 'open')
      errorOutput.write('AUTH is open, so keys are ignored until you set AUTH=keys.\n');
    return formatCreated(created, json);
  };
}

function parseRole(text: string): Role {
  const role = roleNames.find((candidate) => candidate === text);
  if (role) return role;
  throw new UsageError(`--role must be one of ${roleNames.join(', ')}, not "${text}".`);
}

function parseScope(text: string): Scope {
  if (isScope(text)) return text;
  throw new UsageError(`--scope must be one of ${allScopes.join(', ')}, not "${text}".`);
}

const secondsPerUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, y: 31_536_000 };

/** Parses a duration such as `90d`. Returns seconds. */
function parseDuration(option: string, text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhdy])$/.exec(text.trim()) ?? [];
  const seconds = Number(count) * (secondsPerUnit[unit] ?? Number.NaN);
  if (Number.isSafeInteger(seconds)) return seconds;
  throw new UsageError(
    `--${option} must be a whole number and a unit (s, m, h, d or y), such as 90d, not "${text}".`,
  );
}

function formatCreated(created: CreatedKey, isJson: boolean): string {
  if (isJson) return toJson({ ...toRecord(created), key: created.text });
  const { id, name, tenant, scopes } = created;
  return `${created.text}\n\nThe key ${id} (${name}) can access ${tenant === null ? 'all tenants' : `the tenant ${tenant}`}. Scopes: ${scopes.join(', ')}.\nIt cannot be shown again. Send it in the header "Authorization: Bearer <key>".\n`;
}

function formatList(keys: readonly ApiKey[], now: Date): string {
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
  ]);
  const table = [['id', 'name', 'tenant', 'role or scopes', 'state', 'last used'], ...rows];
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

function describeState(
  { revokedAt, expiresAt, hasSecret }: ApiKey,
  replacement: string | undefined,
  now: Date,
): string {
  if (revokedAt !== null) return `revoked ${formatTime(revokedAt)}`;
  if (!hasSecret) return 'unusable (old secret)';
  if (expiresAt === null) return 'active';
  if (replacement !== undefined && expiresAt > now)
    return `replaced by ${replacement}, until ${formatTime(expiresAt)}`;
  return `${expiresAt > now ? 'expires' : 'expired'} ${formatTime(expiresAt)}`;
}

function formatTime(time: Date): string {
  return time.toISOString().slice(0, 16).replace('T', ' ');
}

/** Converts a key to the format of `/v1/keys`. */
function toRecord(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant,
    role: key.role,
    scopes: key.scopes,
    created_by: key.createdBy,
    has_secret: key.hasSecret,
    replaced_id: key.replacedId,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
  };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
