import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { makeAttachContentQueries } from './attach-content.ts';
import { makeClaimQueries } from './claim.ts';
import { makeCompleteQueries } from './complete.ts';
import { makeCompleteRenderQueries } from './complete-render.ts';
import { makeEnqueueRenderQueries } from './enqueue-render.ts';
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
 * Creates the queries that change the state of a job. There is one file per transition, as described in
 * docs/state-machine.md. A job's lease is recorded only in its row, which contains the state, the expiry time and the token.
 */
export function makeJobQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  return {
    ...makeEnqueueQueries(database),
    ...makeEnqueueUrlQueries(database),
    ...makeCompleteRenderQueries(database, vectors),
    ...makeEnqueueRenderQueries(database),
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
