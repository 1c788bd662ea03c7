import type { JobKind } from './job.ts';

/** Counts what happens, for those who watch the service. Never fails. */
export interface Metrics {
  /** A request was answered. `route` is the pattern of its address, never the address itself. */
  requestEnded(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  /** A run of a job ended. */
  jobEnded(job: {
    readonly kind: JobKind;
    readonly outcome: 'completed' | 'retrying' | 'failed' | 'dropped';
    readonly seconds: number;
  }): void;
}
