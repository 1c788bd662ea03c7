import { call } from '../../support/process/client.ts';
import type { Ledger } from '../../support/process/ledger.ts';
import { timeUntil } from './rows.ts';
import { timeScale } from '../../support/time-scale.ts';

/** What the service promises: so long after its servers are back, it works by itself. */
export const comebackLimitMs = 10_000 * timeScale;

/** How long after a fault had ended the service worked again, in milliseconds. */
export interface Comeback {
  /** Until an upload was taken and answered. */
  readonly upload: number;
  /** Until a worker had finished a queued upload. */
  readonly worker: number;
}

/** Measures from now on. @throws when it takes longer than is promised. */
export async function measureComeback(ledger: Ledger, base: string): Promise<Comeback> {
  const [upload, worker] = await Promise.all([
    timeUntil('the first upload', comebackLimitMs, async () => {
      return (await ledger.upload(base, 'inline')) !== undefined;
    }),
    timeUntilWorked(ledger, base),
  ]);
  return { upload, worker };
}

async function timeUntilWorked(ledger: Ledger, base: string): Promise<number> {
  let id: number | undefined;
  return timeUntil('a queued upload by a worker', comebackLimitMs, async () => {
    id ??= await ledger.upload(base, 'queued');
    if (id === undefined) return false;
    const { body } = await call(`${base}/v1/images/${id}`);
    return body['status'] === 'completed';
  });
}
