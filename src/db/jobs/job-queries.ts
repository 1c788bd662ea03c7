import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { makeAttachContentQueries } from './attach-content.ts';
import { makeClaimQueries } from './claim.ts';
import { makeCompleteQueries } from './complete.ts';
import { makeEnqueueUrlQueries } from './enqueue-urls.ts';
import { makeEnqueueQueries } from './enqueue.ts';
import { makeFailQueries } from './fail.ts';
import { makeHandBackQueries } from './hand-back.ts';
import { makeHeartbeatQueries } from './heartbeat.ts';
import { makeRetryQueries } from './retry.ts';
import { makeTakeOverQueries } from './take-over.ts';
import { makeWithdrawQueries } from './withdraw.ts';

/** Queries that change the state of a job. */
export type JobQueries = ReturnType<typeof makeJobQueries>;

/**
 * Creates the queries that change the state of a job. Each transition has its own file: see docs/state-machine.md. The
 * job's row is the only record of its lease: whether it is claimed, until when, and with which token.
 */
export function makeJobQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  return {
    ...makeEnqueueQueries(database),
    ...makeEnqueueUrlQueries(database),
    ...makeClaimQueries(database),
    ...makeHeartbeatQueries(database),
    ...makeAttachContentQueries(database),
    ...makeCompleteQueries(database, vectors),
    ...makeFailQueries(database),
    ...makeHandBackQueries(database),
    ...makeTakeOverQueries(database),
    ...makeWithdrawQueries(database),
    ...makeRetryQueries(database),
  };
}
