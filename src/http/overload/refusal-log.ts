import type { Logger } from '../../model/logger.ts';
import type { AdmissionCounts, RefusalReason, WorkClass } from '../../telemetry/admission-metrics.ts';

/** Counts admitted and refused requests, and logs refusals. */
export interface RefusalLog {
  recordAdmission(work: WorkClass): void;
  /** @param sentence explains the refusal */
  recordRefusal(work: WorkClass, reason: RefusalReason, sentence: string): void;
  totals(): Pick<AdmissionCounts, 'admitted' | 'refused'>;
}

/** Minimum interval between two log lines with the same reason. One line per refusal would add to the load. */
const logIntervalMs = 10_000;

/** @see RefusalLog */
export function makeRefusalLog(logger: Logger): RefusalLog {
  const admitted = new Map<WorkClass, number>();
  const refused = new Map<WorkClass, Map<RefusalReason, number>>();
  const unlogged = new Map<RefusalReason, { count: number; loggedAt: number }>();

  return {
    recordAdmission(work) {
      admitted.set(work, (admitted.get(work) ?? 0) + 1);
    },
    recordRefusal(work, reason, sentence) {
      const counts = refused.get(work) ?? new Map<RefusalReason, number>();
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
      refused.set(work, counts);
      const entry = unlogged.get(reason) ?? { count: 0, loggedAt: Number.NEGATIVE_INFINITY };
      unlogged.set(reason, entry);
      entry.count += 1;
      if (performance.now() - entry.loggedAt < logIntervalMs) return;
      logger.warn({ work, reason, refused: entry.count }, `overloaded, refusing requests: ${sentence}`);
      entry.count = 0;
      entry.loggedAt = performance.now();
    },
    totals: () => ({ admitted, refused }),
  };
}
