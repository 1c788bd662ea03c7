import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../support/process/client.ts';
import type { Ledger } from '../../support/process/ledger.ts';
import { sha256 } from '../../support/process/pictures.ts';
import type { Way } from '../../support/process/send-picture.ts';

/** Clients that send pictures, and one that reads them, until they are told to stop. */
export interface Load {
  /** Resolves when each has its last answer. */
  stop(): Promise<void>;
}

/** What four clients send, each in a row. */
const senders: readonly (readonly Way[])[] = [
  ['inline'],
  ['queued', 'inline'],
  ['queued'],
  ['import', 'queued'],
];

/** Between two requests of a client: the machine has to run the service as well. */
const pauseMs = 100;
/** After an upload that was not taken. */
const refusedPauseMs = 300;

/** Starts sending and reading; whatever the reader is answered goes to `observe`. */
export function startLoad(ledger: Ledger, base: string, observe: (answer: Answer | Error) => void): Load {
  const stopping = new AbortController();
  async function send(ways: readonly Way[]): Promise<void> {
    for (let count = 0; !stopping.signal.aborted; count++) {
      const id = await ledger.upload(base, ways[count % ways.length] ?? 'inline');
      await sleep(id === undefined ? refusedPauseMs : pauseMs);
    }
  }
  async function read(): Promise<void> {
    for (let count = 0; !stopping.signal.aborted; count++) {
      const known = [...ledger.acknowledged];
      const picture = known[(count * 7) % Math.max(1, known.length)];
      if (picture) await readOriginal(base, picture, observe).catch(observe);
      await sleep(pauseMs);
    }
  }
  const running = [...senders.map(send), read()];
  return {
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** An import that has no content yet is answered 404; an answer that breaks off in the middle is noticed by its reader. */
async function readOriginal(
  base: string,
  [id, hash]: readonly [number, string],
  observe: (answer: Answer | Error) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  const { status, headers, ...response } = await fetchHead(`${base}/v1/images/${id}/original`, signal);
  const bytes = await response.bytes().catch(() => undefined);
  if (!bytes || status === 404) return;
  if (status === 200 && sha256(bytes) !== hash) observe(new Error(`image ${id} came with other bytes`));
  else observe({ status, headers, bytes, body: {} });
}

async function fetchHead(url: string, signal: AbortSignal) {
  const response = await fetch(url, { signal });
  const { status, headers } = response;
  return { status, headers, bytes: async () => Buffer.from(await response.arrayBuffer()) };
}
