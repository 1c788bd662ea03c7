import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';
import { makeRandom } from './small-pictures.ts';

/** A load to offer to the server. */
export interface LoadPlan {
  readonly url: string;
  readonly key: string;
  readonly seconds: number;
  /** Requests per second, at random intervals (a Poisson process). Requests are sent whether or not others are answered. */
  readonly rate?: number;
  /** Number of clients, each of which sends a request as soon as its last one is answered. Used if there is no `rate`. */
  readonly clients?: number;
  readonly seed: number;
}

/** One request of a load. */
export interface Sample {
  /** When the request should have been sent, in milliseconds since the load began. */
  readonly at: number;
  /** Time from then until the response, in milliseconds. */
  readonly ms: number;
  /** 0 if the connection was closed before a response. */
  readonly status: number;
}

/** What happened during a load. */
export interface LoadResult {
  readonly samples: readonly Sample[];
  /** CPU time of the generator divided by the duration, for one core. */
  readonly generatorCpu: number;
  /** Requests per second that were sent. */
  readonly offeredRate: number;
}

const boundary = 'vitrine-bench-boundary';
const partHead = Buffer.from(
  `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="bench.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`,
);
const formEnd = Buffer.from(`\r\n--${boundary}--\r\n`);

/** Requests that are still unanswered after the end of a load are waited for this long. */
const graceMs = 20_000;

/** Connections of a generator. The server accepts 1,024, and other clients need some. Further requests wait, which counts. */
const maxConnections = 400;

/** Uploads pictures according to a plan. Pictures that are refused are sent again later; accepted ones are removed. */
export async function offerLoad(plan: LoadPlan, pictures: Buffer[]): Promise<LoadResult> {
  const url = new URL(plan.url);
  const headStart = `POST /v1/images HTTP/1.1\r\nhost: ${url.host}\r\nx-api-key: ${plan.key}\r\ncontent-type: multipart/form-data; boundary=${boundary}\r\ncontent-length: `;
  const idleConnections: Connection[] = [];
  const waiting: (() => void)[] = [];
  let busyCount = 0;
  const samples: Sample[] = [];
  const pending = new Set<Promise<void>>();
  const cpuAtStart = process.cpuUsage();
  const startedAt = performance.now();

  async function upload(at: number): Promise<void> {
    if (busyCount >= maxConnections) await new Promise<void>((resolve) => waiting.push(resolve));
    busyCount += 1;
    const picture = pictures.pop();
    if (!picture) throw new Error('The load needs more pictures than were drawn.');
    let connection = idleConnections.pop();
    while (connection?.isClosed) connection = idleConnections.pop();
    connection ??= new Connection(url);
    const length = partHead.length + picture.length + formEnd.length;
    const head = Buffer.from(`${headStart}${length}\r\n\r\n`);
    const answer = await connection.send([head, partHead, picture, formEnd]).catch(() => undefined);
    samples.push({ at, ms: performance.now() - startedAt - at, status: answer?.status ?? 0 });
    if (answer?.isReusable) idleConnections.push(connection);
    if (answer?.status !== 201) pictures.unshift(picture);
    busyCount -= 1;
    waiting.shift()?.();
  }

  function launch(at: number): Promise<void> {
    const run = upload(at).finally(() => pending.delete(run));
    pending.add(run);
    return run;
  }

  if (plan.rate === undefined) {
    const end = plan.seconds * 1000;
    const runClient = async (): Promise<void> => {
      while (performance.now() - startedAt < end) await launch(performance.now() - startedAt);
    };
    await Promise.all(Array.from({ length: plan.clients ?? 1 }, runClient));
  } else await sendAtRate(plan.rate, plan, startedAt, launch);
  const elapsed = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuAtStart);
  const offeredRate = (samples.length + pending.size) / (elapsed / 1000);
  await Promise.race([Promise.allSettled(pending), sleep(graceMs)]);
  for (const connection of idleConnections) connection.close();
  return { samples, generatorCpu: (user + system) / 1000 / elapsed, offeredRate };
}

/** Sends requests at their scheduled times. If the generator is late, it sends all overdue requests at once. */
async function sendAtRate(
  rate: number,
  { seconds, seed }: LoadPlan,
  startedAt: number,
  launch: (at: number) => Promise<void>,
): Promise<void> {
  const random = makeRandom(seed);
  const nextInterval = () => (-Math.log(1 - random()) / rate) * 1000;
  let at = nextInterval();
  while (at < seconds * 1000) {
    const now = performance.now() - startedAt;
    for (; at <= now && at < seconds * 1000; at += nextInterval()) void launch(at);
    await sleep(1);
  }
}
