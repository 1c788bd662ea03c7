import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AccessDenied,
  type ApiClient,
  ServerFailure,
  type UploadResult,
  type UploadMode,
} from '../api-client.ts';
import { findPictures, describePathError } from './find-pictures.ts';
import { type FileResult, type ImportSummary, makeImportTally } from './import-summary.ts';
import { runParallel } from './run-parallel.ts';
import { type Output, type ProgressDisplay, startProgress } from '../terminal.ts';
import type { JobState } from '../../model/job.ts';

/** Options of an import. */
export interface ImportOptions {
  /** Files and folders. */
  readonly inputs: readonly string[];
  readonly client: Pick<ApiClient, 'uploadFile' | 'getImage' | 'assertHealthy'>;
  readonly tenant: string | undefined;
  /** Maximum number of concurrent uploads. */
  readonly concurrency?: number;
  /** `queued` uploads all files first and then waits for the workers; `inline` waits for each image. */
  readonly mode?: UploadMode;
  /** Receives progress. */
  readonly output: Output;
  /** Stops the import. Completed uploads are kept and counted. */
  readonly signal?: AbortSignal | undefined;
}

type AcceptedUpload = Exclude<UploadResult, { outcome: 'refused' }>;

const defaultConcurrency = 4;

/**
 * Uploads images and waits until all are processed. Safe to repeat: images that the server already has are reported as
 * `known`.
 * @throws {ServerFailure} if the server is unreachable at the start.
 */
export async function importFiles(options: ImportOptions): Promise<ImportSummary> {
  const { files, problems, skipped } = await findPictures(options.inputs);
  const run = makeImportRun(options);
  for (const { file, reason } of problems) run.tally.add(file, makeFailure('unreadable', reason));
  if (files.length > 0) {
    await options.client.assertHealthy(options.signal);
    await run.upload(files);
    await run.waitForUnfinished();
  }
  const summary = run.tally.summarize({
    found: files.length + problems.length,
    skipped,
    stopped: run.stopReason(),
  });
  const denial = run.denial();
  return denial === undefined ? summary : { ...summary, denial };
}

function makeImportRun(options: ImportOptions) {
  const { client, tenant, concurrency = defaultConcurrency, mode = 'inline', output, signal } = options;
  const tally = makeImportTally();
  /** Uploads that the server has not processed yet: nearly all uploads in queued mode, few in inline mode. */
  const unfinishedUploads: [file: string, upload: AcceptedUpload][] = [];
  let denial: string | undefined;
  const isStopped = () => signal?.aborted === true || denial !== undefined || tally.isServerDown();

  async function runWithProgress<Item>(
    label: string,
    items: readonly Item[],
    work: (item: Item, progress: ProgressDisplay) => Promise<void>,
  ) {
    const progress = startProgress(label, items.length, output);
    try {
      await runParallel(items, concurrency, isStopped, (item) => work(item, progress));
    } finally {
      progress.stop();
    }
  }

  /** Returns nothing if the step was interrupted or access was denied, because the file can be imported later. */
  function resultOfError(error: unknown): FileResult | undefined {
    if (signal?.aborted) return undefined;
    if (!(error instanceof AccessDenied)) return toFailure(error);
    denial = error.message;
    return undefined;
  }

  /**
   * Runs a step for a file and counts the result. Does not count interrupted steps, or steps that return `null` because
   * a later step determines the result.
   */
  async function tallyStep(file: string, step: () => Promise<FileResult | null>, progress: ProgressDisplay) {
    const result = await step().catch(resultOfError);
    if (result) tally.add(file, result);
    if (result !== undefined) progress.advance();
  }

  async function uploadFile(file: string): Promise<FileResult | null> {
    const result = await client.uploadFile({ path: file, filename: basename(file), tenant, mode, signal });
    if (result.outcome === 'refused') return result;
    if (isFinished(result)) return toFileResult(result, result);
    unfinishedUploads.push([file, result]);
    return null;
  }

  async function waitForUpload(upload: AcceptedUpload): Promise<FileResult> {
    return toFileResult(upload, await waitUntilFinished(client, upload, signal));
  }

  return {
    tally,
    upload: (files: readonly string[]) =>
      runWithProgress('Importing', files, (file, progress) =>
        tallyStep(file, () => uploadFile(file), progress),
      ),
    async waitForUnfinished() {
      if (unfinishedUploads.length === 0 || isStopped()) return;
      await runWithProgress('Finishing', unfinishedUploads, ([file, upload], progress) =>
        tallyStep(file, () => waitForUpload(upload), progress),
      );
    },
    denial: () => denial,
    stopReason(): ImportSummary['stopped'] {
      if (signal?.aborted) return 'interrupted';
      if (denial !== undefined) return 'access-denied';
      return tally.isServerDown() ? 'server-lost' : null;
    },
  };
}

/** Converts the final state of an image to a result. If the image could not be processed, the file counts as refused. */
function toFileResult(
  { outcome }: AcceptedUpload,
  { status, error }: { status: string; error: string | null },
): FileResult {
  if (status !== 'failed') return { outcome };
  return {
    outcome: 'refused',
    code: 'processing_failed',
    reason: error ?? 'The image could not be processed.',
  };
}

function toFailure(error: unknown): FileResult {
  if (error instanceof ServerFailure) return makeFailure('server_failed', error.message);
  return makeFailure('unreadable', describePathError(error));
}

function makeFailure(code: string, reason: string): FileResult {
  return { outcome: 'failed', code, reason };
}

/** The state of an uploaded image. */
interface ImageState {
  readonly id: number;
  readonly status: JobState;
  readonly error: string | null;
}

/** The pause between polls increases from the minimum to the maximum. */
const minPollPauseMs = 200;
const maxPollPauseMs = 2000;
const maxWaitMs = 10 * 60_000;

/** Polls until the image is `completed` or `failed`, for at most `maxWaitMs`. @throws {ServerFailure} on timeout */
async function waitUntilFinished(
  client: Pick<ApiClient, 'getImage'>,
  initialState: ImageState,
  signal?: AbortSignal,
): Promise<ImageState> {
  const deadline = performance.now() + maxWaitMs;
  let image = initialState;
  for (let pause = minPollPauseMs; !isFinished(image); pause = Math.min(pause * 1.5, maxPollPauseMs)) {
    if (performance.now() > deadline)
      throw new ServerFailure('The upload succeeded, but the server is still processing the image.');
    await sleep(pause, undefined, { signal });
    image = await client.getImage(image.id, signal);
  }
  return image;
}

function isFinished({ status }: Pick<ImageState, 'status'>): boolean {
  return status === 'completed' || status === 'failed';
}
