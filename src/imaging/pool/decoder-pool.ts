import { randomUUID } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import type { RenditionMatch } from '../../model/sameness.ts';
import type { Logger } from '../../model/logger.ts';
import { makeLane } from './lane.ts';
import type {
  ComparedPicture,
  CompareRequest,
  DerivedPicture,
  DescribedPicture,
  DescribeRequest,
  ProbeRequest,
  MatchRenditionsRequest,
  TriedPresets,
  TryPresetsRequest,
  WorkKind,
} from './messages.ts';
import { removeRenditions } from './rendition-files.ts';
import { makeRestrainedTenants } from './restrained-tenants.ts';
import type { PoolCounters } from './slot.ts';
import type { TenantKey } from './waiting-line.ts';

export type { ComparedPicture, DerivedPicture, DescribedPicture, TriedPresets } from './messages.ts';

/** Settings of a pool. */
export interface DecoderPoolOptions {
  /** Children that decode, one for each core; up to `probePlaces` more only probe. */
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
}

/** How a request waits and ends. */
export interface Turn {
  /** Lower goes first. */
  readonly priority: number;
  /** Whose picture it is: tenants take turns. */
  readonly tenant?: TenantKey;
  /** Takes a waiting request out; ends a running one together with its child. */
  readonly signal?: AbortSignal;
}

/** A request to derive renditions into files. */
export interface DerivePicture extends Turn {
  /** File of the original. */
  readonly path: string;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
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
   * Whether the renditions of two images show the same pixels up to re-encoding.
   * @throws AppError: `storage_failed`, `decoder_crashed`, `unavailable`; or the signal's reason.
   */
  matchRenditions(request: MatchRenditionsRequest & Turn): Promise<RenditionMatch>;
  stats(): DecoderPoolStats;
  /** Ends the children; open requests reject with `unavailable`. */
  close(): Promise<void>;
}

// The build turns .ts into .js; the child's entry has the ending of this very file.
const defaultChild = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Children that probe: with a single one, a file that uses up the probe's time would hold up every upload. */
const probePlaces = 2;

/**
 * A pool of killable decoder children. One task at a time in each child: whatever happens to a child then has one
 * cause. Probes have children of their own, because an upload must be answered while long decodes run; all other kinds
 * of work share the rest. Tenants take turns, and a tenant whose file killed a child holds one place for a while.
 */
export function makeDecoderPool(options: DecoderPoolOptions): DecoderPool {
  const counters: PoolCounters = { recycled: 0, crashes: 0, timeouts: 0, memoryKills: 0 };
  const restrained = makeRestrainedTenants();
  const childModule = options.childModule ?? defaultChild;
  const common = { ...options, childModule, counters, restrained };
  const probing = makeLane<'probe'>({
    ...common,
    size: probePlaces,
    // The second place costs memory and start-up time, and most installations never need it.
    startAtOnce: 1,
    timeoutMs: options.probeTimeoutMs,
  });
  const deriving = makeLane<Exclude<WorkKind, 'probe'>>(common);

  async function derive({ priority, tenant, signal, ...rest }: DerivePicture): Promise<DerivedPicture> {
    const request = { ...rest, outputPrefix: randomUUID() };
    try {
      return await deriving.submit({ order: { kind: 'derive', request }, priority, tenant, signal });
    } catch (error) {
      // A killed child could not remove what it had written.
      await removeRenditions(request);
      throw error;
    }
  }

  function stats(): DecoderPoolStats {
    const [probes, derivations] = [probing.counts(), deriving.counts()];
    return {
      size: options.size + probePlaces,
      alive: probes.alive + derivations.alive,
      busy: probes.busy + derivations.busy,
      waiting: probes.waiting + derivations.waiting,
      isBroken: probes.isBroken || derivations.isBroken,
      ...counters,
    };
  }

  return {
    start() {
      probing.start();
      deriving.start();
      return Promise.resolve();
    },
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
    close: async () => void (await Promise.all([probing.close(), deriving.close()])),
  };
}
