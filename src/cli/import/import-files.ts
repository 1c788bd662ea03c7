import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiClient, ServerFailure, type UploadAnswer, type UploadMode } from '../api-client.ts';
import { findPictures, pathProblem } from './find-pictures.ts';
import { type FileResult, type ImportSummary, makeImportTally } from './import-summary.ts';
import { runParallel } from './run-parallel.ts';
import { type Output, type Progress, startProgress } from '../terminal.ts';
import type { JobState } from '../../model/job.ts';

/** What to import, where to, and how. */
export interface ImportOptions {
  /** Files and folders. */
  readonly inputs: readonly string[];
  readonly client: Pick<ApiClient, 'uploadFile' | 'getImage' | 'health'>;
  readonly tenant: string;
  /** Uploads at the same time. */
  readonly concurrency?: number;
  /** `queued` hands everything over first and then waits for the workers; `inline` waits for each picture. */
  readonly mode?: UploadMode;
  /** Where the progress is shown. */
  readonly output: Output;
  /** Stops the import; what was done stays done and is counted. */
  readonly signal?: AbortSignal | undefined;
}

type Accepted = Exclude<UploadAnswer, { outcome: 'refused' }>;

const standardConcurrency = 4;

/**
 * Uploads pictures and waits until each is finished. Safe to repeat: what the tenant has is counted as known.
 * Throws `ServerFailure` if there is no server to begin with.
 */
export async function importFiles(options: ImportOptions): Promise<ImportSummary> {
  const found = await findPictures(options.inputs);
  const total = found.files.length + found.problems.length;
  const run = makeImportRun(options);
  for (const { file, reason } of found.problems) run.tally.add(file, failed('unreadable', reason));
  if (found.files.length > 0) {
    await options.client.health(options.signal);
    await run.upload(found.files);
    await run.settleAccepted();
  }
  return run.tally.summary({ found: total, skipped: found.skipped, stopped: run.stopped() });
}

function makeImportRun(options: ImportOptions) {
  const { client, tenant, concurrency = standardConcurrency, mode = 'inline', output, signal } = options;
  const tally = makeImportTally();
  /** Uploaded, but the server still works on them: the usual case in queued mode, a rare one in inline mode. */
  const unsettled: [file: string, accepted: Accepted][] = [];
  const isStopped = () => signal?.aborted === true || tally.isServerLost();

  async function inParallel<Item>(
    label: string,
    items: readonly Item[],
    work: (item: Item, progress: Progress) => Promise<void>,
  ) {
    const progress = startProgress(label, items.length, output);
    try {
      await runParallel(items, concurrency, isStopped, (item) => work(item, progress));
    } finally {
      progress.stop();
    }
  }

  /** Runs one step for a file and counts how it ends; an interrupted file is not counted. */
  async function tallied(file: string, step: () => Promise<FileResult | null>, progress: Progress) {
    const result = await step().catch((error: unknown) => (signal?.aborted ? undefined : failureOf(error)));
    if (result) tally.add(file, result);
    if (result !== undefined) progress.advance();
  }

  async function uploadOne(file: string): Promise<FileResult | null> {
    const answer = await client.uploadFile({ path: file, filename: basename(file), tenant, mode, signal });
    if (answer.outcome === 'refused') return answer;
    if (answer.status === 'completed' || answer.status === 'failed') return resultOf(answer, answer);
    unsettled.push([file, answer]);
    return null;
  }

  async function settleOne(accepted: Accepted): Promise<FileResult> {
    return resultOf(accepted, await waitUntilSettled(client, accepted, signal));
  }

  return {
    tally,
    upload: (files: readonly string[]) =>
      inParallel('Importing', files, (file, progress) => tallied(file, () => uploadOne(file), progress)),
    async settleAccepted() {
      if (unsettled.length === 0 || isStopped()) return;
      await inParallel('Finishing', unsettled, ([file, accepted], progress) =>
        tallied(file, () => settleOne(accepted), progress),
      );
    },
    stopped(): ImportSummary['stopped'] {
      if (signal?.aborted) return 'interrupted';
      return tally.isServerLost() ? 'server-lost' : null;
    },
  };
}

/** A picture that was taken in but could not be worked on is a refusal too, only a later one. */
function resultOf(
  { outcome }: Accepted,
  { status, error }: { status: string; error: string | null },
): FileResult {
  if (status !== 'failed') return { outcome };
  return {
    outcome: 'refused',
    code: 'processing_failed',
    reason: error ?? 'The picture could not be processed.',
  };
}

function failureOf(error: unknown): FileResult {
  if (error instanceof ServerFailure) return failed('server_failed', error.message);
  return failed('unreadable', pathProblem(error));
}

function failed(code: string, reason: string): FileResult {
  return { outcome: 'failed', code, reason };
}

/** State of an uploaded image, as far as an import wants to know it. */
interface ImageState {
  readonly id: number;
  readonly status: JobState;
  readonly error: string | null;
}

const firstPollMs = 200;
const slowestPollMs = 2000;
const patienceMs = 10 * 60_000;

/** Polls until the image is `completed` or `failed`; retries on the server's side make that up to a minute. */
async function waitUntilSettled(
  client: Pick<ApiClient, 'getImage'>,
  uploaded: ImageState,
  signal?: AbortSignal,
): Promise<ImageState> {
  const deadline = performance.now() + patienceMs;
  let image = uploaded;
  for (let wait = firstPollMs; !isSettled(image); wait = Math.min(wait * 1.5, slowestPollMs)) {
    if (performance.now() > deadline)
      throw new ServerFailure('The server has it, but is still working on it.');
    await sleep(wait, undefined, { signal });
    image = await client.getImage(image.id, signal);
  }
  return image;
}

function isSettled({ status }: ImageState): boolean {
  return status === 'completed' || status === 'failed';
}
