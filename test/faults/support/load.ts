import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiResponse } from '../../support/process/client.ts';
import type { Ledger } from '../../support/process/ledger.ts';
import { sha256 } from '../../support/process/pictures.ts';
import type { UploadMethod } from '../../support/process/send-picture.ts';

/** Clients that upload pictures and read originals until `stop` is called. */
export interface Load {
  /** Resolves when each client has received its last response. */
  stop(): Promise<void>;
}

/** For each of four clients, the upload methods that the client repeats in order. */
const clientMethods: readonly (readonly UploadMethod[])[] = [
  ['inline'],
  ['queued', 'inline'],
  ['queued'],
  ['import', 'queued'],
];

/** Pause between a client's requests. It leaves CPU time for the service, which runs on the same machine. */
const pauseMs = 100;
/** Pause after a failed upload. */
const failurePauseMs = 300;

/** Starts the load. Passes each response to a read request to `observe`. */
export function startLoad(
  ledger: Ledger,
  base: string,
  observe: (response: ApiResponse | Error) => void,
): Load {
  const stopController = new AbortController();
  async function send(methods: readonly UploadMethod[]): Promise<void> {
    for (let count = 0; !stopController.signal.aborted; count++) {
      const id = await ledger.upload(base, methods[count % methods.length] ?? 'inline');
      await sleep(id === undefined ? failurePauseMs : pauseMs);
    }
  }
  async function read(): Promise<void> {
    for (let count = 0; !stopController.signal.aborted; count++) {
      const acknowledged = [...ledger.acknowledged];
      const picture = acknowledged[(count * 7) % Math.max(1, acknowledged.length)];
      if (picture) await readOriginal(base, picture, observe).catch(observe);
      await sleep(pauseMs);
    }
  }
  const clientLoops = [...clientMethods.map(send), read()];
  return {
    async stop() {
      stopController.abort();
      await Promise.all(clientLoops);
    },
  };
}

/** Reads an original. Ignores truncated bodies. Also ignores status 404, because an import may not have content yet. */
async function readOriginal(
  base: string,
  [id, hash]: readonly [number, string],
  observe: (response: ApiResponse | Error) => void,
): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  const { status, headers, ...response } = await fetchHead(`${base}/v1/images/${id}/original`, signal);
  const bytes = await response.bytes().catch(() => undefined);
  if (!bytes || status === 404) return;
  if (status === 200 && sha256(bytes) !== hash) observe(new Error(`image ${id} has different bytes`));
  else observe({ status, headers, bytes, body: {} });
}

async function fetchHead(url: string, signal: AbortSignal) {
  const response = await fetch(url, { signal });
  const { status, headers } = response;
  return { status, headers, bytes: async () => Buffer.from(await response.arrayBuffer()) };
}
