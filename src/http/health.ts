import { z } from 'zod';
import type { HealthCheck } from '../services/check-health.ts';

/** Schema of checks: each by its name. */
export const checksSchema = z.record(
  z.string(),
  z.object({ ok: z.boolean(), error: z.string().optional().describe('Why it failed.') }),
);

/** Checks, each by its name. */
export function checksRecord(checks: readonly HealthCheck[]): z.input<typeof checksSchema> {
  return Object.fromEntries(
    checks.map(({ name, error }) => [name, error === undefined ? { ok: true } : { ok: false, error }]),
  );
}

/** Whether all checks passed. */
export function isHealthy(checks: readonly HealthCheck[]): boolean {
  return checks.every(({ error }) => error === undefined);
}
