import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { distinctKinds, makeDelayedActions, makeListeners } from './in-process.ts';
import { openPostgresChannel, type PostgresChannel } from './postgres-channel.ts';
import { getFailureReason, type WorkQueue } from './queue.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  /** Contains credentials, so it must not appear in logs or messages. */
  readonly connection: ClientConfig;
  readonly logger: Logger;
  readonly channel?: string;
  readonly heartbeatMs?: number;
}

/**
 * Pause after sending messages. It limits the load, because the server delivers each message to all processes. Busy workers
 * do not need the messages, because they poll anyway. After an idle period, the first message is sent immediately.
 */
const messagePauseMs = 50;
/** How long `close` waits for messages that are being sent. */
const closeTimeoutMs = 250;

/**
 * Creates a queue for processes that share a PostgreSQL server. Wake-ups reach this process directly, and all other processes
 * through NOTIFY. The queue needs its own direct connection to the server, because LISTEN does not work through a
 * connection pooler in transaction mode.
 */
export function makePostgresQueue({ connection, logger, ...options }: Dependencies): WorkQueue {
  const { channel: channelName = 'vitrine_jobs', heartbeatMs = 10_000 } = options;
  const listeners = makeListeners();
  const delayedActions = makeDelayedActions();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'PostgreSQL notifications are unavailable, reconnecting; workers still find all jobs, because they poll every second',
    restored: 'PostgreSQL notifications are available again',
  });
  let reason = 'not connected yet';
  let isClosed = false;
  const channel = openPostgresChannel({
    connection,
    channel: channelName,
    heartbeatMs,
    onMessage: (message) => jobKinds.filter((kind) => kind === message).forEach(listeners.wake),
    onUp() {
      availability.reportSuccess();
      listeners.wakeAll();
      outbox.flush();
    },
    onDown(error) {
      reason = getFailureReason(error);
      availability.reportFailure(error);
    },
  });
  const outbox = makeOutbox(channel);

  return {
    kind: 'postgres',
    wake(jobs, delayMs = 0) {
      if (isClosed) return;
      for (const kind of distinctKinds(jobs)) {
        delayedActions.run(() => {
          listeners.wake(kind);
          outbox.add(kind);
        }, delayMs);
      }
    },
    onWake: listeners.add,
    outageReason: () =>
      channel.isUp()
        ? undefined
        : `PostgreSQL notifications are unavailable (${reason}). Workers still find all jobs, because they poll every second.`,
    async close() {
      if (isClosed) return;
      isClosed = true;
      delayedActions.clear();
      listeners.clear();
      await outbox.finish();
      await channel.close();
    },
  };
}

/** Creates an outbox of job kinds to announce. Adding a kind again before it has been sent has no effect. */
function makeOutbox(channel: Pick<PostgresChannel, 'isUp' | 'send'>) {
  const unsentKinds = new Set<JobKind>();
  let pendingSend: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (unsentKinds.size > 0 && channel.isUp()) {
      const kinds = [...unsentKinds];
      unsentKinds.clear();
      // If sending fails, these kinds are sent again once the channel has reconnected.
      await channel.send(kinds).catch(() => kinds.forEach((kind) => unsentKinds.add(kind)));
      await sleep(messagePauseMs);
    }
  }

  function flush(): void {
    pendingSend ??= send().finally(() => (pendingSend = undefined));
  }

  return {
    add(kind: JobKind): void {
      unsentKinds.add(kind);
      flush();
    },
    flush,
    finish: () => withTimeout(pendingSend ?? Promise.resolve(), closeTimeoutMs).catch(() => undefined),
  };
}
