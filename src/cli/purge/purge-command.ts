import { z } from 'zod';
import { type ApiClient, ServerFailure, ServerRefusal } from '../api-client.ts';
import { describeNoServer } from '../import/import-command.ts';
import type { Output } from '../terminal.ts';
import { describePurge, purgeAsJson } from './purge-summary.ts';

/** What `vitrine purge` was asked for. */
export interface PurgeCommandOptions {
  readonly client: ApiClient;
  readonly scope: 'deleted' | 'unused';
  readonly tenant?: string | undefined;
  readonly days: number;
  /** Without it, nothing is removed. */
  readonly confirm: boolean;
  readonly token?: string | undefined;
  readonly json?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Takes the report. */
  readonly output: Output;
  /** Takes progress and errors. */
  readonly errorOutput: Output;
}

const common = {
  dry_run: z.boolean(),
  deleted_count: z.int(),
  deleted_files: z.int(),
  deleted_bytes: z.int(),
  remaining: z.int(),
  errors: z
    .array(z.string())
    .nullable()
    .transform((errors) => errors ?? []),
};
const unusedReport = z.object({ ...common, candidates_total: z.int(), warnings: z.array(z.string()) });
const deletedReport = z.object({ ...common, images_to_delete: z.int(), bytes_to_delete: z.int() });

/** What the server said of one or several calls, added up. */
export interface PurgeReport {
  readonly dryRun: boolean;
  /** Images that were found at the first call. */
  readonly found: number;
  readonly removed: number;
  readonly files: number;
  /** Bytes that were freed. */
  readonly bytes: number;
  /** Bytes that the images found would free, where the server tells. */
  readonly bytesToDelete?: number;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
}

interface Answer extends PurgeReport {
  readonly remaining: number;
}

/** Runs `vitrine purge`: dry unless confirmed; prints the report, answers the exit code. */
export async function runPurgeCommand(options: PurgeCommandOptions): Promise<number> {
  try {
    const report = await purgeAll(options);
    options.output.write(options.json ? purgeAsJson(report) : describePurge(report, options.scope));
    return report.errors.length > 0 ? 1 : 0;
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (error instanceof ServerRefusal) options.errorOutput.write(`${error.message}\n`);
    else if (error instanceof ServerFailure)
      options.errorOutput.write(`${describeNoServer(error, options.client.baseUrl)}\n`);
    else throw error;
    return 1;
  }
}

/** One call takes a bounded time, so a large purge is several calls. */
async function purgeAll(options: PurgeCommandOptions): Promise<PurgeReport> {
  let report: Answer = await callOnce(options);
  while (!report.dryRun && report.remaining > 0) {
    options.errorOutput.write(`${report.removed} images removed, ${report.remaining} to go …\n`);
    const next = await callOnce(options);
    const progressed = next.remaining < report.remaining;
    report = addUp(report, next);
    if (!progressed) break;
  }
  const { remaining: _left, ...total } = report;
  return total;
}

function callOnce(options: PurgeCommandOptions): Promise<Answer> {
  return options.scope === 'unused' ? purgeUnused(options) : purgeDeleted(options);
}

async function purgeUnused({
  client,
  tenant,
  days,
  confirm,
  token,
  signal,
}: PurgeCommandOptions): Promise<Answer> {
  const body = { dry_run: !confirm, tenant, min_age_days: days };
  const answer = await client.postJson('/v1/purge', body, unusedReport, signal, confirmation(confirm, token));
  return { ...answerOf(answer), found: answer.candidates_total, warnings: answer.warnings };
}

async function purgeDeleted({ client, days, confirm, token, signal }: PurgeCommandOptions): Promise<Answer> {
  const answer = await client.postJson(
    '/v1/purge/deleted',
    { dry_run: !confirm, days },
    deletedReport,
    signal,
    confirmation(confirm, token),
  );
  return {
    ...answerOf(answer),
    found: answer.images_to_delete,
    bytesToDelete: answer.bytes_to_delete,
    warnings: [],
  };
}

/** The header that confirms a purge; non-ASCII text is encoded as UTF-8. A dry run does not send the token. */
function confirmation(confirm: boolean, token: string | undefined): Record<string, string> {
  if (!confirm || token === undefined) return {};
  return { 'x-confirm-token': Buffer.from(token, 'utf8').toString('latin1') };
}

function answerOf(answer: z.output<z.ZodObject<typeof common>>) {
  return {
    dryRun: answer.dry_run,
    removed: answer.deleted_count,
    files: answer.deleted_files,
    bytes: answer.deleted_bytes,
    remaining: answer.remaining,
    errors: answer.errors,
  };
}

function addUp(first: Answer, next: Answer): Answer {
  return {
    ...next,
    found: first.found,
    ...(first.bytesToDelete !== undefined && { bytesToDelete: first.bytesToDelete }),
    removed: first.removed + next.removed,
    files: first.files + next.files,
    bytes: first.bytes + next.bytes,
    errors: [...first.errors, ...next.errors],
  };
}
