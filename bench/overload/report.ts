import { writeFile } from 'node:fs/promises';
import { drawPlot } from './plot.ts';
import type { Phase, Results } from './phases.ts';
import { percentile } from './statistics.ts';

/** Whether a criterion is met. */
export interface Verdict {
  readonly criterion: string;
  readonly value: string;
  readonly limit: string;
  readonly isMet: boolean;
}

const maxRefusalMs = 100;
const maxHealthMs = 200;
const maxRecoverySeconds = 5;
const minOverloadFactor = 4;

/** Compares the results with the criteria. */
export function judge(results: Results, maxMemoryMb: number): Verdict[] {
  const { normal, overload, beforeSlowSockets, withSlowSockets, tenantAlone, tenantBesideFlood } = results;
  const acceptedP99 = ({ summary }: Phase) => percentile(summary.accepted, 0.99);
  const acceptedP95 = ({ summary }: Phase) => percentile(summary.accepted, 0.95);
  const phases = [normal, overload, results.recovery, withSlowSockets, tenantBesideFlood, results.flood];
  const memoryMb = Math.max(...phases.map(({ observation }) => observation.maxMemoryMb));
  const failures = phases.reduce((sum, { summary }) => sum + summary.failures, 0);
  const healthFailures = phases.reduce((sum, { observation }) => sum + observation.healthFailures, 0);
  return [
    atLeast('overload ÷ capacity', results.overloadFactor, minOverloadFactor, '×'),
    atMost('accepted p99 in the overload', acceptedP99(overload), 2 * acceptedP99(normal), 'ms'),
    atMost('503 p99 in the overload', percentile(overload.summary.refused, 0.99), maxRefusalMs, 'ms'),
    atMost(
      'health p99 in the overload',
      percentile(overload.observation.healthTimes, 0.99),
      maxHealthMs,
      'ms',
    ),
    atMost('memory of the server and its children', memoryMb, maxMemoryMb, 'MiB'),
    atMost('normal again after', results.recoverySeconds, maxRecoverySeconds, 's'),
    atMost(
      'p99 beside 500 slow sockets',
      acceptedP99(withSlowSockets),
      2 * acceptedP99(beforeSlowSockets),
      'ms',
    ),
    atMost('refused beside slow sockets', withSlowSockets.summary.refused.length, 0, ''),
    atMost(
      'p95 of tenant B beside a flood',
      acceptedP95(tenantBesideFlood),
      1.5 * acceptedP95(tenantAlone),
      'ms',
    ),
    atMost('refused uploads of tenant B', tenantBesideFlood.summary.refused.length, 0, ''),
    atMost('other errors', failures + healthFailures, 0, ''),
  ];
}

function atMost(criterion: string, value: number, limit: number, unit: string): Verdict {
  return {
    criterion,
    value: format(value, unit),
    limit: `≤ ${format(limit, unit)}`,
    isMet: value <= limit,
  };
}

function atLeast(criterion: string, value: number, limit: number, unit: string): Verdict {
  return {
    criterion,
    value: format(value, unit),
    limit: `≥ ${format(limit, unit)}`,
    isMet: value >= limit,
  };
}

function format(value: number, unit: string): string {
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`.trim();
}

/** Prints the phases and the verdicts, and writes the plot if `plotPath` is given. */
export async function printReport(
  results: Results,
  verdicts: readonly Verdict[],
  { isJson, plotPath }: { readonly isJson: boolean; readonly plotPath: string | undefined },
): Promise<void> {
  if (plotPath !== undefined) await writeFile(plotPath, drawPlot(results));
  const rows = listPhases(results).map(toRow);
  if (isJson) {
    console.log(JSON.stringify({ capacity: results.capacity, phases: rows, verdicts }, undefined, 2));
    return;
  }
  console.log(`capacity: ${results.capacity.toFixed(1)} uploads/s`);
  console.table(rows);
  console.table(verdicts.map(({ isMet, ...verdict }) => ({ ...verdict, verdict: isMet ? 'met' : 'MISSED' })));
}

function listPhases(results: Results): Phase[] {
  const { normal, overload, recovery, beforeSlowSockets, withSlowSockets } = results;
  const { tenantAlone, tenantBesideFlood, flood } = results;
  return [
    normal,
    overload,
    recovery,
    beforeSlowSockets,
    withSlowSockets,
    tenantAlone,
    tenantBesideFlood,
    flood,
  ];
}

function toRow({ name, offeredRate, generatorCpu, summary, observation }: Phase) {
  const round = (value: number) => Math.round(value * 10) / 10;
  return {
    phase: name,
    'offered/s': round(offeredRate),
    accepted: summary.accepted.length,
    refused: summary.refused.length,
    errors: summary.failures,
    p50: round(percentile(summary.accepted, 0.5)),
    p95: round(percentile(summary.accepted, 0.95)),
    p99: round(percentile(summary.accepted, 0.99)),
    '503 p99': round(percentile(summary.refused, 0.99)),
    'health p99': round(percentile(observation.healthTimes, 0.99)),
    MiB: Math.round(observation.maxMemoryMb),
    'generator CPU': `${Math.round(100 * generatorCpu)}%`,
  };
}
