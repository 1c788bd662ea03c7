import { call } from '../../support/process/client.ts';
import type { Ledger } from '../../support/process/ledger.ts';
import { timeUntil } from './database.ts';
import { timeScale } from '../../support/time-scale.ts';

/** Documented time limit for the service to recover after its dependencies are available again. */
export const recoveryLimitMs = 10_000 * timeScale;

/** Recovery times after the end of a fault, in milliseconds. */
export interface Recovery {
  /** Time until an inline upload succeeded. */
  readonly uploadMs: number;
  /** Time until a worker completed a queued upload. */
  readonly workerMs: number;
}

/** Measures how long the recovery takes. @throws if the recovery takes longer than the limit. */
export async function measureRecovery(ledger: Ledger, base: string): Promise<Recovery> {
  const [uploadMs, workerMs] = await Promise.all([
    timeUntil('an inline upload', recoveryLimitMs, async () => {
      return (await ledger.upload(base, 'inline')) !== undefined;
    }),
    timeUntilWorkerCompletes(ledger, base),
  ]);
  return { uploadMs, workerMs };
}

async function timeUntilWorkerCompletes(ledger: Ledger, base: string): Promise<number> {
  let id: number | undefined;
  return timeUntil('a queued upload', recoveryLimitMs, async () => {
    id ??= await ledger.upload(base, 'queued');
    if (id === undefined) return false;
    const { body } = await call(`${base}/v1/images/${id}`);
    return body['status'] === 'completed';
  });
}
