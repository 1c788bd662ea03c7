import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { JobReportQueries, QueueDepth } from '../db/jobs/job-reports.ts';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, asAppError } from '../errors.ts';
import type { DecoderPool, DecoderPoolStats } from '../imaging/pool/decoder-pool.ts';
import type { Logger } from '../model/logger.ts';
import type { Principal } from '../model/principal.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';
import { TimeoutError, withTimeout } from '../timeout.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import type { StorageHealth } from './storage-health.ts';
import { assertSeesAllTenants } from './tenants.ts';

interface Dependencies {
  readonly installation: Pick<InstallationQueries, 'ping' | 'describe'>;
  readonly reports: Pick<JobReportQueries, 'readQueueDepth' | 'countFailed'>;
  readonly embeddings: Pick<EmbeddingQueries, 'count'>;
  readonly storage: Pick<Storage, 'freeBytes' | 'kind'>;
  readonly storageHealth: Pick<StorageHealth, 'assert'>;
  readonly queue: Pick<WorkQueue, 'kind' | 'outageReason'>;
  readonly decoders: Pick<DecoderPool, 'stats'>;
  readonly presets: Pick<PresetsInForce, 'warning'>;
  /** The current embedding space. */
  readonly space: { readonly name: string; readonly dimension: number };
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration. */
  readonly exposureWarnings: readonly string[];
  readonly logger: Logger;
  /** How long the depth of the queue is reused, in milliseconds. Reading it takes longer the longer the queue is. */
  readonly queueResultMs?: number;
}

/** Result of a health check. The check has passed if `error` is `undefined`. A warning does not make the check fail. */
export interface HealthCheck {
  /** `presets` is only reported if there is a warning. */
  readonly name: 'database' | 'storage' | 'queue' | 'decoders' | 'presets';
  readonly error: string | undefined;
  readonly warning?: string | undefined;
}

/** The checks, with details about each component. Details that could not be determined are `undefined`. */
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
        /** How long the oldest pending job has been due, in seconds; `null` if no job is pending. */
        readonly oldestPendingSeconds: number | null;
        /** Why the queue cannot wake workers; `null` if it can. Workers that are not woken still poll. */
        readonly outageReason: string | null;
      }
    | undefined;
  readonly storage: { readonly kind: string; readonly freeBytes: number } | undefined;
  readonly decoders: DecoderPoolStats;
  readonly embeddings:
    | { readonly space: string; readonly dimension: number; readonly count: number }
    | undefined;
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration and the presets, one sentence each. */
  readonly warnings: readonly string[];
  readonly uptimeSeconds: number;
}

/** Runs quick checks of all components. Does not reject if a component fails. */
export interface CheckHealth {
  /** Runs the checks that decide whether this process should receive requests. */
  ready(): Promise<readonly HealthCheck[]>;
  /**
   * Runs the checks and collects the details.
   * @throws {AppError} `tenant_not_allowed` for a caller of one tenant, because the details cover all tenants.
   */
  detailed(principal: Principal): Promise<HealthDetails>;
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
    presets,
    space,
    versions,
    exposureWarnings,
    logger,
    queueResultMs = 1_000,
  } = deps;

  async function runCheck(name: HealthCheck['name'], check: () => unknown): Promise<HealthCheck> {
    try {
      await withTimeout(Promise.resolve(check()), checkTimeoutMs);
      return { name, error: undefined };
    } catch (error) {
      logger.error({ err: error }, `health check failed: ${name}`);
      const hasTimedOut = error instanceof TimeoutError;
      return {
        name,
        error: hasTimedOut
          ? `The ${name} check did not finish within ${checkTimeoutMs} ms.`
          : asAppError(error).message,
      };
    }
  }

  let lastDepths: { readonly depths: readonly QueueDepth[]; readonly validUntil: number } | undefined;
  async function readRecentDepths(): Promise<readonly QueueDepth[]> {
    if (lastDepths && performance.now() < lastDepths.validUntil) return lastDepths.depths;
    const depths = await reports.readQueueDepth();
    lastDepths = { depths, validUntil: performance.now() + queueResultMs };
    return depths;
  }

  async function runChecks(): Promise<HealthCheck[]> {
    let depths: readonly QueueDepth[] = [];
    const checks = await Promise.all([
      runCheck('database', installation.ping),
      runCheck('storage', storageHealth.assert),
      runCheck('queue', async () => (depths = await readRecentDepths())),
      runCheck('decoders', () => assertDecodersWork(decoders)),
    ]);
    const warning = [queue.outageReason(), ...depths.map(stalledQueueWarning)].filter(Boolean).join(' ');
    const presetWarning = presets.warning();
    return [
      ...checks.map((check) => (check.name === 'queue' && warning ? { ...check, warning } : check)),
      ...(presetWarning === undefined
        ? []
        : [{ name: 'presets' as const, error: undefined, warning: presetWarning }]),
    ];
  }

  let currentRun: Promise<HealthCheck[]> | undefined;
  // Everyone may send health requests, and their number is not limited. Concurrent requests share the queries.
  const ready = () => (currentRun ??= runChecks().finally(() => (currentRun = undefined)));

  return {
    ready,
    async detailed(principal) {
      assertSeesAllTenants(principal, 'Health details');
      const [checks, database, depths, failed, freeBytes, count] = await Promise.all([
        ready(),
        undefinedOnFailure(installation.describe()),
        undefinedOnFailure(reports.readQueueDepth()),
        undefinedOnFailure(reports.countFailed()),
        undefinedOnFailure(storage.freeBytes()),
        undefinedOnFailure(embeddings.count(space.name)),
      ]);
      return {
        checks,
        database,
        queue:
          depths && failed !== undefined
            ? { kind: queue.kind, failed, ...sumDepths(depths), outageReason: queue.outageReason() ?? null }
            : undefined,
        storage: freeBytes === undefined ? undefined : { kind: storage.kind, freeBytes },
        decoders: decoders.stats(),
        embeddings:
          count === undefined ? undefined : { space: space.name, dimension: space.dimension, count },
        versions,
        warnings: [exposureWarnings, presets.warning() ?? []].flat(),
        uptimeSeconds: Math.round(process.uptime()),
      };
    },
  };
}

/** Time limit of a check. It ensures that a health request returns soon, even if a server does not respond. */
const checkTimeoutMs = 5_000;

/** How long a due job may wait before a warning is returned. A running worker polls for due jobs every second. */
const maxWaitSeconds = 60;

/**
 * Returns a warning if a job of this kind has been waiting for too long and no job of this kind is being processed.
 * Either no worker is running, or no worker can connect to the database.
 */
export function stalledQueueWarning({
  kind,
  pending,
  processing,
  oldestPendingSeconds,
}: QueueDepth): string | undefined {
  const waitedSeconds = oldestPendingSeconds ?? 0;
  if (processing > 0 || waitedSeconds <= maxWaitSeconds) return undefined;
  const subject =
    pending === 1
      ? `1 ${kind} job has been waiting`
      : `${pending} ${kind} jobs have been waiting, the oldest`;
  return `${subject} for ${Math.round(waitedSeconds)} s. Is a worker running?`;
}

function assertDecodersWork(decoders: Dependencies['decoders']): void {
  if (!decoders.stats().isBroken) return;
  throw new AppError('unavailable', 'Decoder processes keep failing; see the log for details.');
}

/** Resolves to `undefined` on failure, because the checks already report the reason. */
async function undefinedOnFailure<T>(detail: Promise<T>): Promise<T | undefined> {
  return withTimeout(detail, checkTimeoutMs).catch(() => undefined);
}

function sumDepths(depths: readonly QueueDepth[]) {
  const ages = depths.flatMap(({ oldestPendingSeconds }) => oldestPendingSeconds ?? []);
  return {
    pending: depths.reduce((sum, { pending }) => sum + pending, 0),
    processing: depths.reduce((sum, { processing }) => sum + processing, 0),
    oldestPendingSeconds: ages.length > 0 ? Math.max(...ages) : null,
  };
}
