import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IntakeFacts } from '../../model/intake-facts.ts';
import type { Logger } from '../../model/logger.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { RenditionMatch } from '../../model/rendition.ts';
import type { ModelDescription } from '../recognition/model/model-description.ts';
import type { PoolCounters } from './worker-options.ts';
import type {
  ComparedPicture,
  CompareRequest,
  DescribedPicture,
  DescribeRequest,
  DeriveRequest,
  MatchRenditionsRequest,
  ProbeRequest,
  RelatedPictures,
  RelateRequest,
  RenderRequest,
  TaskKind,
  TriedPresets,
  TryPresetsRequest,
} from './messages.ts';
import type { Purpose } from './purpose-queue.ts';
import { type RenditionFile, writeRenditions } from './rendition-files.ts';
import { makeThrottledTenants, type TenantKey } from './scheduling.ts';
import { sweepWorkFolders } from './work-folder.ts';
import { makeWorkerGroup } from './worker-group.ts';

export type { ComparedPicture, DescribedPicture, TriedPresets } from './messages.ts';
export type { Purpose } from './purpose-queue.ts';
export type { RenditionFile } from './rendition-files.ts';

/** Settings of a pool. */
export interface DecoderPoolOptions {
  /** Number of workers that decode. Up to two additional workers only probe. */
  readonly size: number;
  /** Maximum wall-clock time of a task, from its start in a child. */
  readonly timeoutMs: number;
  /** Maximum wall-clock time of a probe, which only reads a header. */
  readonly probeTimeoutMs: number;
  /** Maximum resident memory of a busy child, in MB. Enforced on Linux only. */
  readonly memoryMb: number;
  /** Number of tasks after which a child is replaced. */
  readonly maxTasksPerChild: number;
  readonly logger: Logger;
  /** Module that the children run instead of the default. It must support the same messages. */
  readonly childModule?: string;
  /** Program and arguments that launch each child's Node. `{folder}` expands to the child's input folder. */
  readonly launcher?: readonly string[];
  /**
   * Folder in which the children's input folders are created. If it is on the same file system as the pictures, inputs
   * are hard-linked instead of copied. Default: a new temporary folder.
   */
  readonly workDirectory?: string;
  /** The model that computes embeddings. Default: the built-in embedding. */
  readonly model?: ModelDescription | undefined;
  /** Whether no other process uses `workDirectory`. If true, all files in it at startup were left behind by a crash. */
  readonly isOnlyProcess?: boolean;
}

/** When a request runs, and how to cancel it. */
export interface Scheduling {
  /** Lower values run first. */
  readonly priority: number;
  /** The tenant that owns the picture. Workers are shared fairly between tenants. */
  readonly tenant?: TenantKey;
  /**
   * While requests for both purposes are waiting, each gets at least half of the workers. Default: `delivery` for `render`,
   * `intake` for everything else.
   */
  readonly purpose?: Purpose;
  /** Aborting this signal cancels a waiting request, or kills the child that performs a running request. */
  readonly signal?: AbortSignal;
}

/** Result of deriving a picture. */
export interface DerivedPicture extends DescribedPicture {
  /** In the order of the requested variants. */
  readonly renditions: readonly RenditionFile[];
  /** SHA-256 of the metadata that renditions may keep, hexadecimal; an empty string if there is none. */
  readonly keptMetadata: string;
  readonly intakeFacts: IntakeFacts;
}

/** Result of rendering variants of a picture. */
export interface RenderedFiles {
  readonly facts: PictureFacts;
  /** In the order of the requested variants. */
  readonly renditions: readonly RenditionFile[];
  /** The bytes of these files. */
  readonly data: readonly Buffer[];
}

/** The current number of workers and requests, and event counts since the pool was created. */
export interface DecoderPoolStats extends Readonly<PoolCounters> {
  readonly size: number;
  readonly alive: number;
  readonly busy: number;
  readonly waiting: number;
  /** Whether the pool fails to keep its probe children or its other children alive. */
  readonly isBroken: boolean;
}

/**
 * Decodes pictures in child processes. If a child crashes, hangs or exceeds its memory limit, only its current task
 * fails.
 */
export interface DecoderPool {
  /** Starts the children and returns before they are ready. Requests wait for them. Can be called repeatedly. */
  start(): void;
  /**
   * Reads a picture's facts from its header. Probes never wait for other tasks.
   * @throws AppError with a `ReportableCode` (`messages.ts`), `decoder_crashed` or `unavailable`; or the abort reason.
   */
  probe(request: ProbeRequest & Omit<Scheduling, 'priority'>): Promise<PictureFacts>;
  /**
   * Describes a picture and makes variants of it from one decode. Writes the variants into `outputDirectory` under new names. On
   * failure, no file is left behind.
   * @throws AppError with a `ReportableCode` (`messages.ts`), `storage_full`, `decoder_crashed` or `unavailable`; or
   *   the abort reason.
   */
  derive(request: DeriveRequest & Scheduling & { readonly outputDirectory: string }): Promise<DerivedPicture>;
  /**
   * Makes variants of a picture from one decode, without describing it. Writes them like `derive`.
   * @throws AppError as `derive` does.
   */
  render(request: RenderRequest & Scheduling & { readonly outputDirectory: string }): Promise<RenderedFiles>;
  /**
   * Computes the fingerprint and the embedding of a picture, whether it is stored or not.
   * @throws AppError with a `ReportableCode` (`messages.ts`), `decoder_crashed` or `unavailable`; or the abort reason.
   */
  describe(request: DescribeRequest & Scheduling): Promise<DescribedPicture>;
  /**
   * Measures the quality of each picture in `others` against the picture at `path`. The limits apply to all pictures,
   * except that `others` may have any supported format.
   * @throws AppError as `describe` does.
   */
  compare(request: CompareRequest & Scheduling): Promise<ComparedPicture>;
  /**
   * Measures the rendition that each preset would produce. Encodes in memory and stores nothing.
   * @throws AppError as `describe` does.
   */
  tryPresets(request: TryPresetsRequest & Scheduling): Promise<TriedPresets>;
  /**
   * Decides how the picture at `path` is related to each of `others`.
   * @throws AppError as `describe` does.
   */
  relate(request: RelateRequest & Scheduling): Promise<RelatedPictures>;
  /**
   * Decides whether the renditions of two images differ only because of re-encoding.
   * @throws AppError `storage_failed`, `decoder_crashed` or `unavailable`; or the abort reason.
   */
  matchRenditions(request: MatchRenditionsRequest & Scheduling): Promise<RenditionMatch>;
  stats(): DecoderPoolStats;
  /** Kills the children. Pending requests reject with `unavailable`. */
  close(): Promise<void>;
}

// The build compiles .ts to .js, so the children's entry module has the same extension as this file.
const defaultChild = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Number of workers that probe. With only one, a file that uses up the probe timeout would delay every upload. */
const probeWorkers = 2;

/** Interval at which input folders are marked as in use. Folders that are not marked for a day count as abandoned. */
const touchIntervalMs = 3_600_000;

/**
 * Creates a pool. Its workers are started by `start` or by the first request. Probes have their own workers, so that
 * uploads get a response while other pictures are being decoded. All other tasks share the remaining workers.
 */
export function makeDecoderPool(options: DecoderPoolOptions): DecoderPool {
  const counters: PoolCounters = { recycled: 0, crashes: 0, timeouts: 0, memoryKills: 0 };
  const { childModule = defaultChild, launcher = [], isOnlyProcess = false } = options;
  const workDirectory = options.workDirectory ?? join(tmpdir(), `vitrine-decoders-${randomUUID()}`);
  const throttledTenants = makeThrottledTenants();
  const commonOptions = { ...options, childModule, launcher, workDirectory, counters, throttledTenants };
  const probeGroup = makeWorkerGroup<'probe'>({
    ...commonOptions,
    model: undefined,
    size: probeWorkers,
    // The second worker is rarely needed, and a permanent child would cost memory and startup time.
    permanentWorkers: 1,
    timeoutMs: options.probeTimeoutMs,
  });
  const decodeGroup = makeWorkerGroup<Exclude<TaskKind, 'probe'>>(commonOptions);
  let touchTimer: NodeJS.Timeout | undefined;

  function start(): void {
    if (touchTimer) return;
    sweepWorkFolders(workDirectory, isOnlyProcess);
    probeGroup.start();
    decodeGroup.start();
    touchTimer = setInterval(
      () => [probeGroup, decodeGroup].forEach((group) => group.touchFolders()),
      touchIntervalMs,
    ).unref();
  }

  const derive: DecoderPool['derive'] = async ({ outputDirectory, ...parameters }) => {
    const { request, key } = splitRequest(parameters);
    const encodedPicture = await decodeGroup.submit({ task: { kind: 'derive', request }, ...key });
    const { renditions, ...description } = encodedPicture;
    const files = await writeRenditions(outputDirectory, renditions, request.focalPoint ?? null);
    return { ...description, renditions: files };
  };

  const render: DecoderPool['render'] = async ({ outputDirectory, ...parameters }) => {
    const { request, key } = splitRequest(parameters, 'delivery');
    const { facts, renditions } = await decodeGroup.submit({ task: { kind: 'render', request }, ...key });
    const files = await writeRenditions(outputDirectory, renditions, request.focalPoint ?? null);
    return { facts, renditions: files, data: renditions.map((rendition) => rendition.data) };
  };

  async function close(): Promise<void> {
    clearInterval(touchTimer);
    await Promise.all([probeGroup.close(), decodeGroup.close()]);
    if (options.workDirectory === undefined) await rm(workDirectory, { recursive: true, force: true });
  }

  function stats(): DecoderPoolStats {
    const [probeCounts, decodeCounts] = [probeGroup.counts(), decodeGroup.counts()];
    return {
      size: probeCounts.size + decodeCounts.size,
      alive: probeCounts.alive + decodeCounts.alive,
      busy: probeCounts.busy + decodeCounts.busy,
      waiting: probeCounts.waiting + decodeCounts.waiting,
      isBroken: probeCounts.isBroken || decodeCounts.isBroken,
      ...counters,
    };
  }

  return {
    start,
    probe: (parameters) => {
      const { request, key } = splitRequest({ priority: 0, ...parameters });
      return probeGroup.submit({ task: { kind: 'probe', request }, ...key });
    },
    derive,
    render,
    describe: (parameters) => {
      const { request, key } = splitRequest(parameters);
      return decodeGroup.submit({ task: { kind: 'describe', request }, ...key });
    },
    compare: (parameters) => {
      const { request, key } = splitRequest(parameters);
      return decodeGroup.submit({ task: { kind: 'compare', request }, ...key });
    },
    tryPresets: (parameters) => {
      const { request, key } = splitRequest(parameters);
      return decodeGroup.submit({ task: { kind: 'tryPresets', request }, ...key });
    },
    relate: (parameters) => {
      const { request, key } = splitRequest(parameters);
      return decodeGroup.submit({ task: { kind: 'relate', request }, ...key });
    },
    matchRenditions: (parameters) => {
      const { request, key } = splitRequest(parameters);
      return decodeGroup.submit({ task: { kind: 'matchRenditions', request }, ...key });
    },
    stats,
    close,
  };
}

/** Splits the parameters of a method into the request for the child and the scheduling. */
function splitRequest<Request>(
  { priority, tenant, signal, purpose, ...request }: Request & Scheduling,
  defaultPurpose: Purpose = 'intake',
) {
  return { request, key: { priority, tenant, signal, purpose: purpose ?? defaultPurpose } };
}
