import { jobKinds } from '../../../src/model/job.ts';
import type { WorkQueue } from '../../../src/queue/queue.ts';

/** Counts wake-ups of every kind from now on. */
export function countWakes(queue: WorkQueue): { count: number } {
  const woken = { count: 0 };
  for (const kind of jobKinds) queue.onWake(kind, () => Promise.resolve(void woken.count++));
  return woken;
}
