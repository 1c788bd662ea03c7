import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { distinctKinds, makeDelayedActions, makeListeners } from './in-process.ts';
import { openPostgresChannel, type PostgresChannel } from './postgres-channel.ts';
import { failureReason, type WorkQueue } from './queue.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  /** Contains credentials: must not appear in logs or messages. */
  readonly connection: ClientConfig;
  readonly logger: Logger;
  readonly channel?: string;
  readonly heartbeatMs?: number;
}

/**
 * Pause after each message, which limits the load: the server sends each message to all processes, and busy workers poll
 * without being woken. After an idle period, the first message is sent immediately.
 */
const messagePauseMs = 50;
/** How long `close` waits for messages that are being sent. */
const closeTimeoutMs = 250;

/**
 * Creates a queue for processes that share a PostgreSQL server. Wake-ups reach this process directly and all others through
 * NOTIFY. The queue needs its own direct connection to the server, because LISTEN does not work through poolers that share
 * connections.
 */
export function makePostgresQueue({ connection, logger, ...options }: Dependencies): WorkQueue {
  const { channel: name = 'vitrine_jobs', heartbeatMs = 10_000 } = options;
  const listeners = makeListeners();
  const delays = makeDelayedActions();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'PostgreSQL notifications are unavailable, reconnecting; no jobs are lost: workers poll every second',
    restored: 'PostgreSQL notifications are available again',
  });
  let reason = 'not connected yet';
  let isClosed = false;
  const channel = openPostgresChannel({
    connection,
    channel: name,
    heartbeatMs,
    onMessage: (message) => jobKinds.filter((kind) => kind === message).forEach(listeners.wake),
    onUp() {
      availability.restored();
      listeners.wakeAll();
      outbox.flush();
    },
    onDown(error) {
      reason = failureReason(error);
      availability.lost(error);
    },
  });
  const outbox = makeOutbox(channel);

  return {
    kind: 'postgres',
    wake(jobs, delayMs = 0) {
      if (isClosed) return;
      for (const kind of distinctKinds(jobs)) {
        delays.run(() => {
          listeners.wake(kind);
          outbox.add(kind);
        }, delayMs);
      }
    },
    onWake: listeners.add,
    outageReason: () =>
      channel.isUp()
        ? undefined
        : `PostgreSQL notifications are unavailable (${reason}). No jobs are lost: workers poll every second.`,
    async close() {
      if (isClosed) return;
      isClosed = true;
      delays.clear();
      listeners.clear();
      await outbox.finish();
      await channel.close();
    },
  };
}

/** Creates the set of job kinds that are still to be announced. A kind that was added several times is sent only once. */
function makeOutbox(channel: Pick<PostgresChannel, 'isUp' | 'send'>) {
  const unsent = new Set<JobKind>();
  let sending: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (unsent.size > 0 && channel.isUp()) {
      const kinds = [...unsent];
      unsent.clear();
      // If sending fails, these kinds are sent again once the channel has reconnected.
      await channel.send(kinds).catch(() => kinds.forEach((kind) => unsent.add(kind)));
      await sleep(messagePauseMs);
    }
  }

  function flush(): void {
    sending ??= send().finally(() => (sending = undefined));
  }

  return {
    add(kind: JobKind): void {
      unsent.add(kind);
      flush();
    },
    flush,
    finish: () => withTimeout(sending ?? Promise.resolve(), closeTimeoutMs).catch(() => undefined),
  };
}
