import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../../model/logger.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { RenditionMatch } from '../../model/rendition.ts';
import { makeLane } from './worker-group.ts';
import type {
  ComparedPicture,
  CompareRequest,
  DescribedPicture,
  DescribeRequest,
  DeriveRequest,
  MatchRenditionsRequest,
  ProbeRequest,
  TriedPresets,
  TryPresetsRequest,
  WorkKind,
} from './messages.ts';
import { type RenditionFile, writeRenditions } from './rendition-files.ts';
import { makeRestrainedTenants } from './restrained-tenants.ts';
import type { PoolCounters } from './decoder-worker.ts';
import type { TenantKey } from './scheduling.ts';
import { sweepWorkFolders } from './work-folder.ts';

export type { ComparedPicture, DescribedPicture, TriedPresets } from './messages.ts';

/** Settings of a pool. */
export interface DecoderPoolOptions {
  /** Children that decode, one for each core; up to `probePlaces` further ones only probe. */
  readonly size: number;
  /** Wall time of one task, from its start in a child. */
  readonly timeoutMs: number;
  /** The same for a probe, which reads a header and decodes nothing. */
  readonly probeTimeoutMs: number;
  /** Most memory (resident, MB) of a child at work. Watched on Linux only. */
  readonly memoryMb: number;
  /** Tasks after which a child is replaced. */
  readonly recycleAfterJobs: number;
  readonly logger: Logger;
  /** Another module for the children, with the same messages. */
  readonly childModule?: string;
  /** Launcher: program and arguments in front of each child's Node; `{folder}` expands to its input folder. */
  readonly launcher?: readonly string[];
  /**
   * Parent of the children's input folders, preferably on the file system of the pictures, where an input is a hard
   * link instead of a copy. Default: a new temporary folder.
   */
  readonly workDirectory?: string;
  /** No other process uses `workDirectory`: its content at startup was left behind by a crash. */
  readonly isAlone?: boolean;
}

/** How a request waits and ends. */
export interface Turn {
  /** Lower goes first. */
  readonly priority: number;
  /** Tenant of the picture: tenants take turns. */
  readonly tenant?: TenantKey;
  /** Takes a waiting request out; ends a running one together with its child. */
  readonly signal?: AbortSignal;
}

/** Result of deriving a picture. */
export interface DerivedPicture extends DescribedPicture {
  /** Largest first. */
  readonly renditions: readonly RenditionFile[];
}

/** A request to derive renditions of the original at `path` into files. */
export interface DerivePicture extends DeriveRequest, Turn {
  /** Folder that takes the rendition files, under names that are new each time. */
  readonly outputDirectory: string;
}

/** Figures of a pool: its children now, and counts since it was made. */
export interface DecoderPoolStats extends Readonly<PoolCounters> {
  readonly size: number;
  readonly alive: number;
  readonly busy: number;
  readonly waiting: number;
  /** For probes or for derivations, no child can be kept alive. */
  readonly isBroken: boolean;
}

/** Children that decode pictures. A crash, a hang or a swelling of one costs one task and never the parent. */
export interface DecoderPool {
  /** Starts the children and returns before they are ready; requests wait for them. */
  start(): Promise<void>;
  /**
   * Facts of a picture, by its header alone. Probes never wait behind derivations.
   * @throws AppError: those of the probe, `decoder_crashed`, `unavailable`.
   */
  probe(request: ProbeRequest & Omit<Turn, 'priority'>): Promise<PictureFacts>;
  /**
   * Derives all renditions with one decode. On failure no file is left behind.
   * @throws AppError: those of the pipeline, `storage_failed`, `storage_full`, `decoder_crashed`, `unavailable`; or
   * the signal's reason.
   */
  derive(request: DerivePicture): Promise<DerivedPicture>;
  /**
   * Fingerprint and embedding of a picture, which need not be stored anywhere.
   * @throws AppError: those of the pipeline, `storage_failed`, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  describe(request: DescribeRequest & Turn): Promise<DescribedPicture>;
  /**
   * Quality of each of `others` against the picture at `path`; the limits hold for all of them.
   * @throws AppError: as `describe`.
   */
  compare(request: CompareRequest & Turn): Promise<ComparedPicture>;
  /**
   * What each preset would make of the picture: encoded in memory, nothing is kept.
   * @throws AppError: as `describe`.
   */
  tryPresets(request: TryPresetsRequest & Turn): Promise<TriedPresets>;
  /**
   * Whether the renditions of two images have the same pixels up to re-encoding.
   * @throws AppError: `storage_failed`, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  matchRenditions(request: MatchRenditionsRequest & Turn): Promise<RenditionMatch>;
  stats(): DecoderPoolStats;
  /** Ends the children; open requests reject with `unavailable`. */
  close(): Promise<void>;
}

// The build turns .ts into .js; the child's entry has the ending of this very file.
const defaultChild = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Children that probe: with only one, a file that uses the whole probe timeout would delay every upload. */
const probePlaces = 2;

/** Interval for marking folders as in use; folders not marked for a day count as abandoned. */
const touchMs = 3_600_000;

/**
 * A pool of killable decoder children. One task at a time in each child: whatever happens to a child then has one
 * cause. Probes have children of their own, because an upload must be answered while long decodes run; all other kinds
 * of work share the rest. Tenants take turns, and a tenant whose file killed a child holds one place for a while.
 */
export function makeDecoderPool(options: DecoderPoolOptions): DecoderPool {
  const counters: PoolCounters = { recycled: 0, crashes: 0, timeouts: 0, memoryKills: 0 };
  const restrained = makeRestrainedTenants();
  const { childModule = defaultChild, launcher = [], isAlone = false } = options;
  const workDirectory = options.workDirectory ?? join(tmpdir(), `vitrine-decoders-${randomUUID()}`);
  const common = { ...options, childModule, launcher, workDirectory, counters, restrained };
  const probing = makeLane<'probe'>({
    ...common,
    size: probePlaces,
    // The second place costs memory and start-up time, and is seldom needed.
    alwaysThere: 1,
    timeoutMs: options.probeTimeoutMs,
  });
  const deriving = makeLane<Exclude<WorkKind, 'probe'>>(common);
  let touching: NodeJS.Timeout | undefined;

  function start(): Promise<void> {
    sweepWorkFolders(workDirectory, isAlone);
    probing.start();
    deriving.start();
    touching ??= setInterval(
      () => [probing, deriving].forEach((lane) => lane.touchFolders()),
      touchMs,
    ).unref();
    return Promise.resolve();
  }

  async function derive(picture: DerivePicture): Promise<DerivedPicture> {
    const { priority, tenant, signal, outputDirectory, ...request } = picture;
    const derived = await deriving.submit({ order: { kind: 'derive', request }, priority, tenant, signal });
    return { ...derived, renditions: await writeRenditions(outputDirectory, derived.renditions) };
  }

  async function close(): Promise<void> {
    clearInterval(touching);
    await Promise.all([probing.close(), deriving.close()]);
    if (options.workDirectory === undefined) await rm(workDirectory, { recursive: true, force: true });
  }

  function stats(): DecoderPoolStats {
    const [probes, derivations] = [probing.counts(), deriving.counts()];
    return {
      size: probes.size + derivations.size,
      alive: probes.alive + derivations.alive,
      busy: probes.busy + derivations.busy,
      waiting: probes.waiting + derivations.waiting,
      isBroken: probes.isBroken || derivations.isBroken,
      ...counters,
    };
  }

  return {
    start,
    probe: ({ tenant, signal, ...request }) =>
      probing.submit({ order: { kind: 'probe', request }, priority: 0, tenant, signal }),
    derive,
    describe: ({ priority, tenant, signal, ...request }) =>
      deriving.submit({ order: { kind: 'describe', request }, priority, tenant, signal }),
    compare: ({ priority, tenant, signal, ...request }) =>
      deriving.submit({ order: { kind: 'compare', request }, priority, tenant, signal }),
    tryPresets: ({ priority, tenant, signal, ...request }) =>
      deriving.submit({ order: { kind: 'tryPresets', request }, priority, tenant, signal }),
    matchRenditions: ({ priority, tenant, signal, ...request }) =>
      deriving.submit({ order: { kind: 'matchRenditions', request }, priority, tenant, signal }),
    stats,
    close,
  };
}
