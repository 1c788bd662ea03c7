import { jobKinds } from '../../../src/model/job.ts';
import type { WorkQueue } from '../../../src/queue/queue.ts';

/** Starts counting the wake-ups of all job kinds. */
export function countWakes(queue: WorkQueue): { count: number } {
  const wakes = { count: 0 };
  for (const kind of jobKinds) queue.onWake(kind, () => Promise.resolve(void wakes.count++));
  return wakes;
}
