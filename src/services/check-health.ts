import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { JobReportQueries, QueueDepth } from '../db/jobs/job-reports.ts';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, asAppError } from '../errors.ts';
import type { DecoderPool, DecoderPoolStats } from '../imaging/pool/decoder-pool.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';
import { TimedOut, withTimeout } from '../timeout.ts';
import type { StorageHealth } from './storage-health.ts';

interface Dependencies {
  readonly installation: Pick<InstallationQueries, 'ping' | 'describe'>;
  readonly reports: Pick<JobReportQueries, 'depth' | 'countFailed'>;
  readonly embeddings: Pick<EmbeddingQueries, 'count'>;
  readonly storage: Pick<Storage, 'freeBytes' | 'kind'>;
  readonly storageHealth: Pick<StorageHealth, 'assert'>;
  readonly queue: Pick<WorkQueue, 'kind' | 'outageReason'>;
  readonly decoders: Pick<DecoderPool, 'stats'>;
  readonly space: { readonly name: string; readonly dimension: number };
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration. */
  readonly exposureWarnings: readonly string[];
  readonly logger: Logger;
}

/** Result of a check. It passed if `error` is `undefined`, even with a warning. */
export interface HealthCheck {
  readonly name: 'database' | 'storage' | 'queue' | 'decoders';
  readonly error: string | undefined;
  readonly warning?: string | undefined;
}

/** The checks with details of each part. Details that could not be determined are `undefined`. */
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
        /** Age of the oldest pending job, in seconds; `null` if there is none. */
        readonly oldestPendingSeconds: number | null;
        /** Why it cannot wake workers up, which then only poll; `null` if it works. */
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

/** Runs a quick check of every part. Does not write to the storage for each request. Never rejects. */
export interface CheckHealth {
  /** The checks that decide whether this process should get requests. */
  ready(): Promise<readonly HealthCheck[]>;
  /** The checks with details. */
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
      await withTimeout(Promise.resolve(work()), checkMs);
      return { name, error: undefined };
    } catch (error) {
      logger.error({ err: error }, `the ${name} is not healthy`);
      const isLate = error instanceof TimedOut;
      return {
        name,
        error: isLate ? `The ${name} did not respond within ${checkMs} ms.` : asAppError(error).message,
      };
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
    const warning = [queue.outageReason(), ...depth.map(describeIdleness)].filter(Boolean).join(' ');
    return checks.map((result) => (result.name === 'queue' && warning ? { ...result, warning } : result));
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
            ? { kind: queue.kind, failed, ...addUp(depth), trouble: queue.outageReason() ?? null }
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

/** Keeps responses quick while a server does not respond. */
const checkMs = 5_000;

/** A running worker starts due jobs well within this time, since it polls every second. */
const maxWaitSeconds = 60;

/** Returns a warning if jobs of a kind wait but none is being processed: no worker is running, or none reaches the database. */
export function describeIdleness({
  kind,
  pending,
  processing,
  oldestPendingSeconds,
}: QueueDepth): string | undefined {
  const waited = oldestPendingSeconds ?? 0;
  if (processing > 0 || waited <= maxWaitSeconds) return undefined;
  return `${pending} ${kind} ${pending === 1 ? 'job waits' : 'jobs wait'}, the oldest for ${Math.round(waited)} s, and no worker has started any: is one running?`;
}

function assertDecoding(decoders: Dependencies['decoders']): void {
  if (!decoders.stats().isBroken) return;
  throw new AppError('unavailable', 'No decoder process can be kept alive; the log has the details.');
}

/** Returns `undefined` on failure: the checks report the reason. */
async function orUndefined<T>(detail: Promise<T>): Promise<T | undefined> {
  return withTimeout(detail, checkMs).catch(() => undefined);
}

function addUp(depth: readonly QueueDepth[]) {
  const ages = depth.flatMap(({ oldestPendingSeconds }) => oldestPendingSeconds ?? []);
  return {
    pending: depth.reduce((sum, { pending }) => sum + pending, 0),
    processing: depth.reduce((sum, { processing }) => sum + processing, 0),
    oldestPendingSeconds: ages.length > 0 ? Math.max(...ages) : null,
  };
}
