import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { kindsOf, makeDelays, makeListeners } from './in-process.ts';
import { openPostgresChannel, type PostgresChannel } from './postgres-channel.ts';
import { reasonOf, type WorkQueue } from './queue.ts';
import { withTimeout } from '../timeout.ts';

interface Dependencies {
  /** Contains credentials: must not appear in logs and messages. */
  readonly connection: ClientConfig;
  readonly logger: Logger;
  readonly channel?: string;
  readonly heartbeatMs?: number;
}

/**
 * Pause after each message. The server sends every message to all processes, so under load messages cost more than they
 * gain: busy workers poll by themselves anyway. After an idle period the first message is sent at once.
 */
const messagePauseMs = 50;
/** How long `close` waits for the last message. */
const lastMessageMs = 250;

/**
 * Creates the queue of several processes on one PostgreSQL server: a wake-up reaches this process at once, and all others
 * through NOTIFY. Needs its own direct connection to the server: poolers that share connections drop LISTEN.
 */
export function makePostgresQueue({ connection, logger, ...options }: Dependencies): WorkQueue {
  const { channel: name = 'vitrine_jobs', heartbeatMs = 10_000 } = options;
  const listeners = makeListeners();
  const delays = makeDelays();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'PostgreSQL cannot notify other processes of new jobs; nothing is lost, workers poll every second; reconnecting',
    restored: 'PostgreSQL notifies other processes of new jobs again',
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
      reason = reasonOf(error);
      availability.lost(error);
    },
  });
  const outbox = makeOutbox(channel);

  return {
    kind: 'postgres',
    wake(jobs, delayMs = 0) {
      if (isClosed) return;
      for (const kind of kindsOf(jobs)) {
        delays.run(() => {
          listeners.wake(kind);
          outbox.add(kind);
        }, delayMs);
      }
    },
    onWake: listeners.add,
    trouble: () =>
      channel.isUp()
        ? undefined
        : `PostgreSQL cannot notify other processes of new jobs (${reason}). Nothing is lost: workers poll for jobs every second.`,
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

/** Creates the set of job kinds to announce to other processes. A kind is sent once, however often it was added. */
function makeOutbox(channel: Pick<PostgresChannel, 'isUp' | 'send'>) {
  const unsent = new Set<JobKind>();
  let sending: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (unsent.size > 0 && channel.isUp()) {
      const kinds = [...unsent];
      unsent.clear();
      // If the channel breaks meanwhile, all of them are sent again after it has reconnected.
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
    finish: () => withTimeout(sending ?? Promise.resolve(), lastMessageMs).catch(() => undefined),
  };
}
