import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../../model/logger.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { RenditionMatch } from '../../model/rendition.ts';
import type { PoolCounters } from './decoder-worker.ts';
import type {
  ComparedPicture,
  CompareRequest,
  DescribedPicture,
  DescribeRequest,
  DeriveRequest,
  MatchRenditionsRequest,
  ProbeRequest,
  TaskKind,
  TriedPresets,
  TryPresetsRequest,
} from './messages.ts';
import { type RenditionFile, writeRenditions } from './rendition-files.ts';
import { makeThrottledTenants, type TenantKey } from './scheduling.ts';
import { sweepWorkFolders } from './work-folder.ts';
import { makeWorkerGroup } from './worker-group.ts';

export type { ComparedPicture, DescribedPicture, TriedPresets } from './messages.ts';

/** Settings of a pool. */
export interface DecoderPoolOptions {
  /** Workers that decode, one per core. Up to `probeWorkers` further ones only probe. */
  readonly size: number;
  /** Maximum wall time of a task, from its start in a child. */
  readonly timeoutMs: number;
  /** The same for a probe, which only reads a header. */
  readonly probeTimeoutMs: number;
  /** Maximum resident memory of a busy child, in MB. Enforced on Linux only. */
  readonly memoryMb: number;
  /** Tasks after which a child is replaced. */
  readonly recycleAfterJobs: number;
  readonly logger: Logger;
  /** Replaces the module of the children; it must use the same messages. */
  readonly childModule?: string;
  /** Launcher: program and arguments in front of each child's Node. `{folder}` expands to its input folder. */
  readonly launcher?: readonly string[];
  /**
   * Parent of the children's input folders. On the file system of the pictures, an input is a hard link instead of a
   * copy. Default: a new temporary folder.
   */
  readonly workDirectory?: string;
  /** Whether no other process uses `workDirectory`, so that its content at startup was left behind by a crash. */
  readonly isAlone?: boolean;
}

/** When a request runs, and how to cancel it. */
export interface Scheduling {
  /** Lower values run first. */
  readonly priority: number;
  /** The tenant that owns the picture. Workers are shared fairly between tenants. */
  readonly tenant?: TenantKey;
  /** Cancels a waiting request; kills the child of a running one. */
  readonly signal?: AbortSignal;
}

/** Result of deriving a picture. */
export interface DerivedPicture extends DescribedPicture {
  /** Largest first. */
  readonly renditions: readonly RenditionFile[];
}

/** The current number of workers and requests, and event counts since the pool was created. */
export interface DecoderPoolStats extends Readonly<PoolCounters> {
  readonly size: number;
  readonly alive: number;
  readonly busy: number;
  readonly waiting: number;
  /** Whether no child can be kept alive, either for probes or for the other tasks. */
  readonly isBroken: boolean;
}

/**
 * Decodes pictures in child processes. If a child crashes, hangs or exceeds its memory limit, only its current task
 * fails.
 */
export interface DecoderPool {
  /** Starts the children and returns before they are ready; requests wait for them. */
  start(): Promise<void>;
  /**
   * Reads the facts of a picture from its header. Probes never wait for other tasks.
   * @throws AppError those of the probe, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  probe(request: ProbeRequest & Omit<Scheduling, 'priority'>): Promise<PictureFacts>;
  /**
   * Derives all renditions of a picture from one decode, and writes them into `outputDirectory` under new names. On
   * failure no file is left behind.
   * @throws AppError those of the pipeline, `storage_failed`, `storage_full`, `decoder_crashed`, `unavailable`; or the
   *   signal's reason.
   */
  derive(request: DeriveRequest & Scheduling & { readonly outputDirectory: string }): Promise<DerivedPicture>;
  /**
   * Computes the fingerprint and the embedding of a picture, which need not be stored.
   * @throws AppError those of the pipeline, `storage_failed`, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  describe(request: DescribeRequest & Scheduling): Promise<DescribedPicture>;
  /**
   * Measures the quality of each of `others` against the picture at `path`. The limits apply to all of them.
   * @throws AppError as `describe`.
   */
  compare(request: CompareRequest & Scheduling): Promise<ComparedPicture>;
  /**
   * Measures what each preset would make of the picture. Encodes in memory and keeps nothing.
   * @throws AppError as `describe`.
   */
  tryPresets(request: TryPresetsRequest & Scheduling): Promise<TriedPresets>;
  /**
   * Decides whether the renditions of two images have the same pixels, apart from re-encoding.
   * @throws AppError `storage_failed`, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  matchRenditions(request: MatchRenditionsRequest & Scheduling): Promise<RenditionMatch>;
  stats(): DecoderPoolStats;
  /** Kills the children; open requests reject with `unavailable`. */
  close(): Promise<void>;
}

// The build turns .ts into .js, so the entry module of the children has the extension of this file.
const defaultChild = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Workers that probe. With only one, a file that uses the whole probe timeout would delay every upload. */
const probeWorkers = 2;

/** Interval for marking input folders as in use. Folders not marked for a day count as abandoned. */
const touchMs = 3_600_000;

/**
 * Creates a pool that has not been started; the first request starts its workers too. Probes have workers of their own,
 * because uploads must be answered while long decodes run; all other tasks share the rest.
 */
export function makeDecoderPool(options: DecoderPoolOptions): DecoderPool {
  const counters: PoolCounters = { recycled: 0, crashes: 0, timeouts: 0, memoryKills: 0 };
  const { childModule = defaultChild, launcher = [], isAlone = false } = options;
  const workDirectory = options.workDirectory ?? join(tmpdir(), `vitrine-decoders-${randomUUID()}`);
  const throttled = makeThrottledTenants();
  const common = { ...options, childModule, launcher, workDirectory, counters, throttled };
  const probing = makeWorkerGroup<'probe'>({
    ...common,
    size: probeWorkers,
    // The second worker costs memory and startup time, and is seldom needed.
    permanentWorkers: 1,
    timeoutMs: options.probeTimeoutMs,
  });
  const decoding = makeWorkerGroup<Exclude<TaskKind, 'probe'>>(common);
  let touchTimer: NodeJS.Timeout | undefined;

  function start(): Promise<void> {
    sweepWorkFolders(workDirectory, isAlone);
    probing.start();
    decoding.start();
    touchTimer ??= setInterval(
      () => [probing, decoding].forEach((group) => group.touchFolders()),
      touchMs,
    ).unref();
    return Promise.resolve();
  }

  const derive: DecoderPool['derive'] = async (job) => {
    const { priority, tenant, signal, outputDirectory, ...request } = job;
    const derived = await decoding.submit({ task: { kind: 'derive', request }, priority, tenant, signal });
    return { ...derived, renditions: await writeRenditions(outputDirectory, derived.renditions) };
  };

  async function close(): Promise<void> {
    clearInterval(touchTimer);
    await Promise.all([probing.close(), decoding.close()]);
    if (options.workDirectory === undefined) await rm(workDirectory, { recursive: true, force: true });
  }

  function stats(): DecoderPoolStats {
    const [probes, decodes] = [probing.counts(), decoding.counts()];
    return {
      size: probes.size + decodes.size,
      alive: probes.alive + decodes.alive,
      busy: probes.busy + decodes.busy,
      waiting: probes.waiting + decodes.waiting,
      isBroken: probes.isBroken || decodes.isBroken,
      ...counters,
    };
  }

  return {
    start,
    probe: ({ tenant, signal, ...request }) =>
      probing.submit({ task: { kind: 'probe', request }, priority: 0, tenant, signal }),
    derive,
    describe: ({ priority, tenant, signal, ...request }) =>
      decoding.submit({ task: { kind: 'describe', request }, priority, tenant, signal }),
    compare: ({ priority, tenant, signal, ...request }) =>
      decoding.submit({ task: { kind: 'compare', request }, priority, tenant, signal }),
    tryPresets: ({ priority, tenant, signal, ...request }) =>
      decoding.submit({ task: { kind: 'tryPresets', request }, priority, tenant, signal }),
    matchRenditions: ({ priority, tenant, signal, ...request }) =>
      decoding.submit({ task: { kind: 'matchRenditions', request }, priority, tenant, signal }),
    stats,
    close,
  };
}
