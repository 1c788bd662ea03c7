import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { type JobKind, jobKinds } from '../model/job.ts';
import type { Logger } from '../model/logger.ts';
import { makeAvailabilityLog } from '../availability-log.ts';
import { makeDelays } from './delays.ts';
import { kindsOf, makeListeners } from './listeners.ts';
import { openPostgresChannel, type PostgresChannel } from './postgres-channel.ts';
import type { WorkQueue } from './queue.ts';
import { withTimeout } from '../timeout.ts';
import { reasonOf } from './reason.ts';

interface Dependencies {
  /** With user and password: goes into no log and no sentence. */
  readonly connection: ClientConfig;
  readonly logger: Logger;
  readonly channel?: string;
  readonly heartbeatMs?: number;
}

/**
 * Pause after each message to the other processes. The server sends it to all of them, so under load messages cost more
 * than what they bring: workers that are busy look by themselves. After a rest the first goes out at once.
 */
const messagePauseMs = 50;
/** A stop waits this long for the last message. */
const lastMessageMs = 250;

/**
 * The queue of several processes on one PostgreSQL server: a wake-up goes to this process at once, and to all others
 * by NOTIFY. Needs a connection of its own to the server itself: poolers that share connections drop LISTEN.
 */
export function makePostgresQueue({ connection, logger, ...more }: Dependencies): WorkQueue {
  const { channel: name = 'vitrine_jobs', heartbeatMs = 10_000 } = more;
  const listeners = makeListeners();
  const delays = makeDelays();
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'PostgreSQL cannot tell other processes of new jobs: nothing is lost, workers look for jobs every second; connecting again',
    restored: 'PostgreSQL tells other processes of new jobs again',
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
        : `PostgreSQL cannot tell other processes of new jobs now (${reason}). Nothing is lost: workers look for jobs every second.`,
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

/** Kinds that other processes have yet to be told of: each once, however often it was added. */
function makeOutbox(channel: Pick<PostgresChannel, 'isUp' | 'send'>) {
  const waiting = new Set<JobKind>();
  let sending: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (waiting.size > 0 && channel.isUp()) {
      const kinds = [...waiting];
      waiting.clear();
      // A channel that breaks in the middle is told again of all of them when it is back.
      await channel.send(kinds).catch(() => kinds.forEach((kind) => waiting.add(kind)));
      await sleep(messagePauseMs);
    }
  }

  function flush(): void {
    sending ??= send().finally(() => (sending = undefined));
  }

  return {
    add(kind: JobKind): void {
      waiting.add(kind);
      flush();
    },
    flush,
    finish: () => withTimeout(sending ?? Promise.resolve(), lastMessageMs).catch(() => undefined),
  };
}
