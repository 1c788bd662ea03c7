import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { JobReportQueries, QueueDepth } from '../db/jobs/job-reports.ts';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, asAppError } from '../errors.ts';
import type { DecoderPool, DecoderPoolStats } from '../imaging/pool/decoder-pool.ts';
import type { Logger } from '../model/logger.ts';
import { inTime, OutOfTime } from '../model/time-limit.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';
import type { StorageHealth } from './storage-health.ts';

interface Dependencies {
  readonly installation: Pick<InstallationQueries, 'ping' | 'describe'>;
  readonly reports: Pick<JobReportQueries, 'depth' | 'countFailed'>;
  readonly embeddings: Pick<EmbeddingQueries, 'count'>;
  readonly storage: Pick<Storage, 'freeBytes' | 'kind'>;
  readonly storageHealth: Pick<StorageHealth, 'assert'>;
  readonly queue: Pick<WorkQueue, 'kind' | 'trouble'>;
  readonly decoders: Pick<DecoderPool, 'stats'>;
  readonly space: { readonly name: string; readonly dimension: number };
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration. */
  readonly exposureWarnings: readonly string[];
  readonly logger: Logger;
}

/** Result of one check: `undefined` error means that it passed. A warning tells what does not work, and is no failure. */
export interface HealthCheck {
  readonly name: 'database' | 'storage' | 'queue' | 'decoders';
  readonly error: string | undefined;
  readonly warning?: string | undefined;
}

/** Everything that health tells, beyond whether the checks passed. */
export interface HealthDetails {
  readonly checks: readonly HealthCheck[];
  readonly database:
    | { readonly kind: string; readonly version: string; readonly pgvector: string | null }
    | undefined;
  readonly queue:
    | {
        readonly kind: string;
        readonly pending: number;
        readonly processing: number;
        readonly failed: number;
        /** Age of the oldest job that waits, in seconds; `null` when none waits. */
        readonly oldestPendingSeconds: number | null;
        /** Why it wakes no workers up now; `null` when it does. Work goes on by polling meanwhile. */
        readonly trouble: string | null;
      }
    | undefined;
  readonly storage: { readonly kind: string; readonly freeBytes: number } | undefined;
  readonly decoders: DecoderPoolStats;
  readonly embeddings:
    | { readonly space: string; readonly dimension: number; readonly count: number }
    | undefined;
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration, one sentence each. */
  readonly warnings: readonly string[];
  readonly uptimeSeconds: number;
}

/** Runs a small check of every part; checks that write are not repeated for every request. Never fails. */
export interface CheckHealth {
  /** The checks alone: what decides whether this process may get requests. */
  ready(): Promise<readonly HealthCheck[]>;
  /** The checks and their figures; what could not be asked is `undefined`. */
  detailed(): Promise<HealthDetails>;
}

/** @see CheckHealth */
export function makeCheckHealth(deps: Dependencies): CheckHealth {
  const {
    installation,
    reports,
    embeddings,
    storage,
    storageHealth,
    queue,
    decoders,
    space,
    versions,
    exposureWarnings,
    logger,
  } = deps;

  async function check(name: HealthCheck['name'], work: () => unknown): Promise<HealthCheck> {
    try {
      await inTime(Promise.resolve(work()), checkMs);
      return { name, error: undefined };
    } catch (error) {
      logger.error({ err: error }, `the ${name} is not healthy`);
      const isLate = error instanceof OutOfTime;
      return { name, error: isLate ? `The ${name} gave ${error.message}.` : asAppError(error).message };
    }
  }

  const ready = async () => {
    let depth: readonly QueueDepth[] = [];
    const checks = await Promise.all([
      check('database', installation.ping),
      check('storage', storageHealth.assert),
      check('queue', async () => (depth = await reports.depth())),
      check('decoders', () => assertDecoding(decoders)),
    ]);
    const warning = [queue.trouble(), ...depth.map(describeIdleness)].filter(Boolean).join(' ');
    return checks.map((made) => (made.name === 'queue' && warning ? { ...made, warning } : made));
  };

  return {
    ready,
    async detailed() {
      const [checks, database, depth, failed, freeBytes, count] = await Promise.all([
        ready(),
        orUndefined(installation.describe()),
        orUndefined(reports.depth()),
        orUndefined(reports.countFailed()),
        orUndefined(storage.freeBytes()),
        orUndefined(embeddings.count(space.name)),
      ]);
      return {
        checks,
        database,
        queue:
          depth && failed !== undefined
            ? { kind: queue.kind, failed, ...addUp(depth), trouble: queue.trouble() ?? null }
            : undefined,
        storage: freeBytes === undefined ? undefined : { kind: storage.kind, freeBytes },
        decoders: decoders.stats(),
        embeddings:
          count === undefined ? undefined : { space: space.name, dimension: space.dimension, count },
        versions,
        warnings: exposureWarnings,
        uptimeSeconds: Math.round(process.uptime()),
      };
    },
  };
}

/** Whoever asks for health wants an answer, also while a server has fallen silent. */
const checkMs = 5_000;

/** Due jobs that nobody has begun after this time: a worker looks every second. */
const longestWaitSeconds = 60;

/** A sentence when jobs of a kind wait and nobody works on any: no worker runs, or none can reach the database. */
export function describeIdleness({
  kind,
  pending,
  processing,
  oldestPendingSeconds,
}: QueueDepth): string | undefined {
  const waited = oldestPendingSeconds ?? 0;
  if (processing > 0 || waited <= longestWaitSeconds) return undefined;
  return `${pending} ${kind} ${pending === 1 ? 'job waits' : 'jobs wait'}, the oldest for ${Math.round(waited)} s, and no worker has begun any: is one running?`;
}

function assertDecoding(decoders: Dependencies['decoders']): void {
  if (!decoders.stats().isBroken) return;
  throw new AppError('unavailable', 'No decoder child can be kept alive; the log has the details.');
}

/** What cannot be asked is left out: the checks say why. */
async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  return inTime(asked, checkMs).catch(() => undefined);
}

function addUp(depth: readonly QueueDepth[]) {
  const ages = depth.flatMap(({ oldestPendingSeconds }) => oldestPendingSeconds ?? []);
  return {
    pending: depth.reduce((sum, { pending }) => sum + pending, 0),
    processing: depth.reduce((sum, { processing }) => sum + processing, 0),
    oldestPendingSeconds: ages.length > 0 ? Math.max(...ages) : null,
  };
}
