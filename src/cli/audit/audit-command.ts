import { createWriteStream, existsSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../../config.ts';
import { type AuditAction, auditActions } from '../../model/audit.ts';
import { rejectOptionsOfOthers, UsageError } from '../options.ts';
import { reportRequestErrors } from '../request-errors.ts';
import type { Output } from '../terminal.ts';
import { type AuditReader, openAuditReader, type Verification } from './audit-reader.ts';

/** Options of `vitrine audit`, as given on the command line. */
export interface AuditCommandOptions {
  readonly config: Config;
  /** The action. */
  readonly inputs: readonly string[];
  readonly url: string | undefined;
  readonly tenant: string | undefined;
  readonly since: string | undefined;
  readonly until?: string | undefined;
  readonly action?: string | undefined;
  readonly actor?: string | undefined;
  /** File to export to; default: the standard output. */
  readonly out: string | undefined;
  /** Whether to overwrite that file. */
  readonly force?: boolean;
  /** Exit code if the log cannot be read. */
  readonly failureCode: number;
  readonly json: boolean;
  readonly output: Output & Writable;
  readonly errorOutput: Output;
}

/** Performs an action. Returns the exit code. */
type Action = (reader: AuditReader) => Promise<number>;

/**
 * Runs `vitrine audit` and returns the exit code: 1 if the log is damaged, `failureCode` if it cannot be read.
 * @throws {UsageError}
 */
export async function runAuditCommand(options: AuditCommandOptions): Promise<number> {
  const action = parseAction(options);
  const reader = await openAuditReader(options.config, options.url);
  try {
    return await reportRequestErrors(options.errorOutput, () => action(reader), options.failureCode);
  } finally {
    await reader.close();
  }
}

function parseAction(options: AuditCommandOptions): Action {
  const [name, unexpected] = options.inputs;
  if (unexpected !== undefined) throw new UsageError(`Unexpected argument "${unexpected}".`);
  if (name !== 'verify' && name !== 'export') throw new UsageError('Specify one of: verify, export.');
  const { since, until, action, actor, out, force, json } = options;
  const given = { since, until, action, actor, out, force: force || undefined, json: json || undefined };
  rejectOptionsOfOthers(name, given, actionsByOption);
  return name === 'verify' ? (reader) => verify(reader, options) : parseExport(options);
}

/** The action to which each option belongs. All other options belong to both. */
const actionsByOption = {
  since: 'export',
  until: 'export',
  action: 'export',
  actor: 'export',
  out: 'export',
  force: 'export',
  json: 'verify',
} as const;

function parseExport(options: AuditCommandOptions): Action {
  const { tenant, actor, out, output, errorOutput } = options;
  const filter = {
    tenant,
    since: parseTime('since', options.since),
    until: parseTime('until', options.until),
    action: parseAuditAction(options.action),
    actor,
  };
  if (out !== undefined) assertWritable(out, options.force ?? false);
  return async (reader) => {
    const entries = Readable.from(await reader.export(filter), { highWaterMark: 1 });
    if (out === undefined) {
      await pipeline(entries, output, { end: false });
      return 0;
    }
    const count = await writeLines(entries, out);
    errorOutput.write(`Exported ${formatCount(count, 'entry', 'entries')} to ${out}.\n`);
    return 0;
  };
}

function assertWritable(path: string, mayOverwrite: boolean): void {
  const folder = dirname(path);
  if (!existsSync(folder)) throw new UsageError(`--out: there is no folder ${folder}.`);
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) throw new UsageError(`--out: ${path} is a folder, not a file.`);
  if (!mayOverwrite) throw new UsageError(`--out: ${path} exists already; add --force to overwrite it.`);
}

async function verify(
  reader: AuditReader,
  { tenant, json, output, errorOutput }: AuditCommandOptions,
): Promise<number> {
  const verification = await reader.verify(tenant);
  if (json) output.write(`${JSON.stringify(verification, null, 2)}\n`);
  else (verification.intact ? output : errorOutput).write(formatVerification(verification));
  return verification.intact ? 0 : 1;
}

function formatVerification({ chains, unsealed }: Verification): string {
  const damagedChains = chains.filter(({ damage }) => damage !== null);
  const checkedCount = chains.reduce((sum, { checked }) => sum + checked, 0);
  const summary =
    damagedChains.length > 0
      ? `The audit log is damaged in ${damagedChains.length} of ${formatCount(chains.length, 'chain', 'chains')}:`
      : `The audit log is intact: ${formatCount(checkedCount, 'entry', 'entries')} in ${formatCount(chains.length, 'chain', 'chains')}.`;
  return [summary, ...damagedChains.map(formatDamage), ...formatUnsealed(unsealed)]
    .map((line) => `${line}\n`)
    .join('');
}

function formatDamage({ tenant, tenant_id: tenantId, damage }: Verification['chains'][number]): string {
  const name =
    tenantId === null ? 'Installation' : `Tenant ${tenant ?? `with the number ${tenantId}, now removed`}`;
  const entry = damage?.id == null ? '' : ` (entry ${damage.id})`;
  return `  ${name}, position ${damage?.position}${entry}: ${damage?.reason}`;
}

function formatUnsealed({ total, entries }: Verification['unsealed']): string[] {
  if (total === 0) return [];
  const unlistedCount = total - entries.length;
  return [
    `Not sealed yet, so not verified: ${formatCount(total, 'entry', 'entries')}. A running server seals entries within a second.`,
    ...entries.map(({ id, at, action, target }) =>
      `  entry ${id}, ${at}: ${action} ${target ?? ''}`.trimEnd(),
    ),
    ...(unlistedCount > 0 ? [`  and ${unlistedCount} more`] : []),
  ];
}

function formatCount(count: number, singular: string, plural: string): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? singular : plural}`;
}

const timePattern = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

function parseAuditAction(text: string | undefined): AuditAction | undefined {
  const action = auditActions.find((candidate) => candidate === text);
  if (text === undefined || action) return action;
  throw new UsageError(`--action must be one of ${auditActions.join(', ')}, not "${text}".`);
}

function parseTime(option: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = timePattern.test(text) ? new Date(text) : undefined;
  if (time && !Number.isNaN(time.getTime())) return time;
  throw new UsageError(
    `--${option} must be a date such as 2026-11-01 (UTC) or a time with a time zone such as 2026-11-01T08:00:00+01:00, not "${text}".`,
  );
}

/** Writes a file, which appears under its name only once it is complete. Returns the number of its lines. */
async function writeLines(content: Readable, path: string): Promise<number> {
  const draftPath = `${path}.part`;
  let count = 0;
  async function* countLines(chunks: AsyncIterable<string | Uint8Array>) {
    for await (const chunk of chunks) {
      for (const byte of Buffer.from(chunk as Uint8Array)) if (byte === lineFeed) count += 1;
      yield chunk;
    }
  }
  try {
    await pipeline(content, countLines, createWriteStream(draftPath, { mode: 0o600 }));
    await rename(draftPath, path);
  } catch (error) {
    await rm(draftPath, { force: true });
    throw error;
  }
  return count;
}

const lineFeed = 0x0a;
