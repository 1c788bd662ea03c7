import { z } from 'zod';
import type { HealthCheck } from '../services/check-health.ts';

/** Schema of checks: each by its name. */
export const checksSchema = z.record(
  z.string(),
  z.object({
    ok: z.boolean(),
    error: z.string().optional().describe('Why it failed.'),
    warning: z.string().optional().describe('What does not work, though requests are served all the same.'),
  }),
);

/** Checks, each by its name. */
export function checksRecord(checks: readonly HealthCheck[]): z.input<typeof checksSchema> {
  return Object.fromEntries(
    checks.map(({ name, error, warning }) => [
      name,
      { ok: error === undefined, ...(error !== undefined && { error }), ...(warning && { warning }) },
    ]),
  );
}

/** Whether all checks passed. */
export function isHealthy(checks: readonly HealthCheck[]): boolean {
  return checks.every(({ error }) => error === undefined);
}
