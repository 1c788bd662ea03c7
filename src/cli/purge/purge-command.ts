import { z } from 'zod';
import { type ApiClient, ServerFailure, RequestRejected } from '../api-client.ts';
import { describeServerFailure } from '../import/import-command.ts';
import type { Output } from '../terminal.ts';
import { formatImageCount, describePurge, formatPurgeJson } from './purge-summary.ts';

/** Options of `vitrine purge`. */
export interface PurgeCommandOptions {
  readonly client: ApiClient;
  readonly scope: 'deleted' | 'unused';
  readonly tenant?: string | undefined;
  /** Minimum number of days since deletion or, for unused images, since creation. */
  readonly days: number;
  /** Whether to remove images; otherwise the purge is a dry run. */
  readonly confirm: boolean;
  readonly token?: string | undefined;
  readonly json?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Receives the report. */
  readonly output: Output;
  /** Receives progress and errors. */
  readonly errorOutput: Output;
}

const commonFields = {
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
const unusedReportSchema = z.object({
  ...commonFields,
  candidates_total: z.int(),
  warnings: z.array(z.string()),
});
const deletedReportSchema = z.object({
  ...commonFields,
  images_to_delete: z.int(),
  bytes_to_delete: z.int(),
});

/** The combined result of one or more purge requests. */
export interface PurgeReport {
  readonly dryRun: boolean;
  /** Number of images found by the first request. */
  readonly found: number;
  /** Number of removed images. */
  readonly removed: number;
  /** Number of removed files. */
  readonly files: number;
  /** Number of freed bytes. */
  readonly bytes: number;
  /** Bytes that would be freed by removing all found images. Absent if the server does not report them. */
  readonly bytesToDelete?: number;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
}

interface RequestReport extends PurgeReport {
  /** Number of images that remain to be removed. */
  readonly remaining: number;
}

/** Runs `vitrine purge`, as a dry run unless confirmed. Prints the report and returns the exit code. */
export async function runPurgeCommand(options: PurgeCommandOptions): Promise<number> {
  try {
    const report = await purgeAll(options);
    options.output.write(options.json ? formatPurgeJson(report) : describePurge(report, options.scope));
    return report.errors.length > 0 ? 1 : 0;
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (error instanceof RequestRejected) options.errorOutput.write(`${error.message}\n`);
    else if (error instanceof ServerFailure)
      options.errorOutput.write(`${describeServerFailure(error, options.client.baseUrl)}\n`);
    else throw error;
    return 1;
  }
}

/**
 * Repeats the request until no images remain or a request removes none. One request may not suffice, because the server
 * limits the duration of each request.
 */
async function purgeAll(options: PurgeCommandOptions): Promise<PurgeReport> {
  let report: RequestReport = await purgeOnce(options);
  while (!report.dryRun && report.remaining > 0) {
    options.errorOutput.write(
      `Removed ${formatImageCount(report.removed)}; ${report.remaining} remaining …\n`,
    );
    const nextReport = await purgeOnce(options);
    const hasProgressed = nextReport.remaining < report.remaining;
    report = mergeReports(report, nextReport);
    if (!hasProgressed) break;
  }
  const { remaining: _remaining, ...total } = report;
  return total;
}

function purgeOnce(options: PurgeCommandOptions): Promise<RequestReport> {
  return options.scope === 'unused' ? purgeUnused(options) : purgeDeleted(options);
}

async function purgeUnused({
  client,
  tenant,
  days,
  confirm,
  token,
  signal,
}: PurgeCommandOptions): Promise<RequestReport> {
  const body = { dry_run: !confirm, tenant, min_age_days: days };
  const response = await client.postJson(
    '/v1/purge',
    body,
    unusedReportSchema,
    signal,
    makeConfirmationHeader(confirm, token),
  );
  return { ...toReport(response), found: response.candidates_total, warnings: response.warnings };
}

async function purgeDeleted({
  client,
  tenant,
  days,
  confirm,
  token,
  signal,
}: PurgeCommandOptions): Promise<RequestReport> {
  const response = await client.postJson(
    '/v1/purge/deleted',
    { dry_run: !confirm, tenant, days },
    deletedReportSchema,
    signal,
    makeConfirmationHeader(confirm, token),
  );
  return {
    ...toReport(response),
    found: response.images_to_delete,
    bytesToDelete: response.bytes_to_delete,
    warnings: [],
  };
}

/** Returns the header that confirms a purge. Its value is the token, encoded as UTF-8. A dry run has no such header. */
function makeConfirmationHeader(confirm: boolean, token: string | undefined): Record<string, string> {
  if (!confirm || token === undefined) return {};
  return { 'x-confirm-token': Buffer.from(token, 'utf8').toString('latin1') };
}

function toReport(response: z.output<z.ZodObject<typeof commonFields>>) {
  return {
    dryRun: response.dry_run,
    removed: response.deleted_count,
    files: response.deleted_files,
    bytes: response.deleted_bytes,
    remaining: response.remaining,
    errors: response.errors,
  };
}

function mergeReports(first: RequestReport, next: RequestReport): RequestReport {
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
