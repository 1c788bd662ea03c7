import type { Config } from '../../config.ts';
import { allScopes, isScope, type Role, roleNames, type Scope } from '../../model/access.ts';
import type { Revocation } from '../../db/api-key-changes.ts';
import { type ApiKey, maxKeyNameLength } from '../../model/api-key.ts';
import type { CreatedApiKey } from '../../services/access/api-keys.ts';
import { rejectOptionsOfOthers, UsageError } from '../options.ts';
import { reportRequestErrors } from '../request-errors.ts';
import type { Output } from '../terminal.ts';
import { expiryLimits, overlapLimits, parseDuration } from './durations.ts';
import { formatList, formatTime, toRecord } from './key-list.ts';
import { type KeyManager, openKeyManager } from './key-manager.ts';

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

/** What an action prints: `result` on the standard output, `notes` on the standard error. */
interface Report {
  readonly result: string;
  readonly notes?: string;
}

type Action = (keys: KeyManager) => Promise<Report>;

/** Runs `vitrine keys` and returns the exit code. @throws {UsageError} */
export async function runKeysCommand(options: KeysCommandOptions): Promise<number> {
  const action = parseAction(options);
  const keys = await openKeyManager(options.config, options.url);
  try {
    return await reportRequestErrors(options.errorOutput, async () => {
      const { result, notes = '' } = await action(keys);
      options.output.write(result);
      if (notes !== '') options.errorOutput.write(notes);
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
  if (name === 'list' && id === undefined) return parseList(options);
  if (name === 'rotate' && id !== undefined) return parseRotate(options, id);
  if (name === 'revoke' && id !== undefined) return parseRevoke(options, id);
  if ((name === 'rotate' || name === 'revoke') && id === undefined)
    throw new UsageError(`${name} needs the id of a key; \`vitrine keys list\` shows the ids.`);
  throw new UsageError('Specify one of: create, list, rotate <id>, revoke <id>.');
}

/** The action to which each option belongs. All other options belong to every action. */
const actionsByOption = {
  name: 'create',
  role: 'create',
  tenant: 'create',
  scope: 'create',
  expires: 'create',
  overlap: 'rotate',
  descendants: 'revoke',
} as const;

function rejectOtherOptions(action: string, options: KeysCommandOptions): void {
  const { name, role, tenant, scopes, expires, overlap, descendants } = options;
  const scope = scopes.length > 0 || undefined;
  if (action === 'rotate' && expires !== undefined)
    throw new UsageError(
      '--expires cannot be used with rotate, which keeps the expiry; to extend it, create a new key.',
    );
  const given = { name, role, tenant, scope, expires, overlap, descendants: descendants || undefined };
  rejectOptionsOfOthers(action, given, actionsByOption);
}

function parseCreate(options: KeysCommandOptions): Action {
  rejectOtherOptions('create', options);
  const { config, url, role, tenant, scopes, expires, json } = options;
  const name = parseName(options.name);
  if (role === undefined && scopes.length === 0)
    throw new UsageError(`Specify --role (${roleNames.join(', ')}) or at least one --scope.`);
  const request = {
    name,
    role: role === undefined ? undefined : parseRole(role),
    scopes: scopes.map(parseScope),
    tenantName: tenant,
    expiresInSeconds: expires === undefined ? undefined : parseDuration('expires', expires, expiryLimits),
  };
  return async (keys) => {
    const created = await keys.create(request);
    // The mode of a server elsewhere is unknown.
    const isIgnored = url === undefined && config.access.mode === 'open';
    const warning = isIgnored ? 'AUTH is open, so keys are ignored until you set AUTH=keys.\n' : '';
    if (json) return { result: toKeyJson(created), notes: warning };
    return { result: `${created.text}\n`, notes: warning + describeCreated(created) };
  };
}

function parseList(options: KeysCommandOptions): Action {
  rejectOtherOptions('list', options);
  return async (keys) => {
    const all = await keys.list();
    return { result: options.json ? toJson(all.map(toRecord)) : formatList(all, new Date()) };
  };
}

function parseRotate(options: KeysCommandOptions, id: string): Action {
  rejectOtherOptions('rotate', options);
  const overlap = parseDuration('overlap', options.overlap ?? '1d', overlapLimits);
  return async (keys) => {
    const created = await keys.rotate(id, overlap);
    if (options.json) return { result: toKeyJson(created) };
    return {
      result: `${created.text}\n`,
      notes: describeCreated(created) + describeOverlap(created, id, overlap),
    };
  };
}

function parseRevoke(options: KeysCommandOptions, id: string): Action {
  rejectOtherOptions('revoke', options);
  return async (keys) => {
    const revocation = await keys.revoke(id, options.descendants);
    const { revoked, activeDescendants } = revocation;
    if (options.json) return { result: toJson({ revoked, active_descendants: activeDescendants }) };
    return { result: describeRevocation(id, revocation) };
  };
}

function parseName(text = ''): string {
  const name = text.trim();
  if (name === '') throw new UsageError('Specify what the key is for with --name.');
  if (name.length <= maxKeyNameLength && !/\p{Cc}/u.test(name)) return name;
  throw new UsageError(`--name must have at most ${maxKeyNameLength} characters, and no control characters.`);
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

function toKeyJson(created: CreatedApiKey): string {
  return toJson({ ...toRecord(created), key: created.text, tenant_created: created.isTenantNew });
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function describeCreated({ id, name, tenant, scopes, expiresAt, isTenantNew }: CreatedApiKey): string {
  return [
    `The key ${id} (${name}) can access ${tenant === null ? 'all tenants' : `the tenant ${tenant}`}. Scopes: ${scopes.join(', ')}.`,
    ...(isTenantNew ? [`The tenant ${tenant} is new.`] : []),
    expiresAt === null ? 'It does not expire.' : `Expires ${formatTime(expiresAt)}.`,
    'It cannot be shown again. Send it in the header "Authorization: Bearer <key>".',
  ]
    .map((line) => `${line}\n`)
    .join('');
}

/** @param replacement the new key, which was created when the overlap began, and has the expiry of the old one */
function describeOverlap(
  { createdAt, expiresAt }: ApiKey,
  replacedId: string,
  overlapSeconds: number,
): string {
  if (overlapSeconds === 0) return `The old key ${replacedId} no longer works.\n`;
  const end = new Date(createdAt.getTime() + overlapSeconds * 1_000);
  return `The old key ${replacedId} works until ${formatTime(expiresAt !== null && expiresAt < end ? expiresAt : end)}.\n`;
}

function describeRevocation(id: string, { revoked, activeDescendants }: Revocation): string {
  const [count, verb] = activeDescendants === 1 ? ['1 key', 'works'] : [`${activeDescendants} keys`, 'work'];
  return [
    revoked.length === 0
      ? `The key ${id} had been revoked before.`
      : `Revoked ${revoked.map((key) => `${key.id} (${key.name})`).join(', ')}.`,
    ...(activeDescendants === 0
      ? []
      : [
          `${count} that ${activeDescendants === 1 ? 'was' : 'were'} created or rotated from it still ${verb}; to revoke them too, add --descendants.`,
        ]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
