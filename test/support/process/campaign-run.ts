import { setTimeout as sleep } from 'node:timers/promises';

/** Runs an SQL statement and returns its rows. */
export type RunQuery = (statement: string) => Promise<Record<string, unknown>[]>;

/** A campaign whose workers are killed while clients read. */
export interface CampaignRunOptions {
  readonly serverUrl: string;
  readonly query: RunQuery;
  readonly preset: string;
  /** How often the worker is killed. */
  readonly kills: number;
  /** Starts a worker. Returns a function that kills it with SIGKILL. */
  readonly startWorker: () => Promise<() => Promise<void>>;
  readonly timeoutMs: number;
  /** Called after each kill and at the end. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What happened during the campaign. */
export interface CampaignRunReport {
  readonly total: number;
  readonly done: number;
  /** Images whose renditions were made for a read before it was their turn. */
  readonly skipped: number;
  readonly failed: number;
  readonly seconds: number;
  readonly reads: number;
  /** Address and status of each read that was not answered with 200. */
  readonly failedReads: readonly string[];
  /** Renditions that were recorded again after a pause, although they had been recorded. */
  readonly repeated: number;
  /** Renditions that a request and a job were making at the same time, so that both recorded them. */
  readonly simultaneous: number;
  /** Images without a current rendition of the preset. */
  readonly missing: number;
  /** Number of jobs that were running at a kill. */
  readonly lostLeases: number;
  readonly kills: number;
}

interface Rendering {
  readonly id: number;
  readonly state: string;
  readonly total: number;
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
}

/**
 * Longest time between two records of a rendition that was made twice at the same time. It is shorter than the lease of a job, after
 * which the job of a killed worker is repeated.
 */
const maxOverlapSeconds = 3;

/** Number of requests in flight at a time. */
const readers = 2;

/**
 * Starts a campaign, kills its worker several times, and reads old and current renditions meanwhile. The images must have
 * renditions that are outdated.
 */
export async function runCampaign(options: CampaignRunOptions): Promise<CampaignRunReport> {
  const { serverUrl, query, preset, kills, onProgress } = options;
  await noteRecordedRenditions(query);
  const addresses = await listAddresses(options);
  const reading = startReading(serverUrl, addresses);
  const startedAt = performance.now();
  let killWorker = await options.startWorker();
  const { id } = await startRendering(serverUrl, preset);
  let killCount = 0;
  let rendering = await findRendering(serverUrl, id);
  while (rendering.state === 'running') {
    if (performance.now() - startedAt > options.timeoutMs)
      throw new Error(`The campaign did not end in time: ${JSON.stringify(rendering)}`);
    await sleep(50);
    rendering = await findRendering(serverUrl, id);
    const isDue = rendering.done >= ((killCount + 1) * rendering.total) / (kills + 1);
    if (rendering.state !== 'running' || killCount === kills || !isDue) continue;
    await killWorker();
    killCount++;
    onProgress?.(rendering.done, rendering.total);
    killWorker = await options.startWorker();
  }
  onProgress?.(rendering.done, rendering.total);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { reads, failedReads } = await reading.stop();
  await killWorker();
  const { total, done, skipped, failed } = rendering;
  return {
    total,
    done,
    skipped,
    failed,
    seconds,
    reads,
    failedReads,
    ...(await inspect(options, id)),
    kills: killCount,
  };
}

/** Notes every rendition that is recorded, even if it replaces a row with the same recipe. */
async function noteRecordedRenditions(query: RunQuery): Promise<void> {
  await query(
    'CREATE TABLE recorded_renditions (image_id bigint, variant text, recipe text, at timestamptz)',
  );
  await query(`
    CREATE FUNCTION note_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO recorded_renditions VALUES (NEW.image_id, NEW.preset || NEW.format || NEW.density, NEW.recipe, clock_timestamp());
      RETURN NULL;
    END $$`);
  await query(`
    CREATE TRIGGER note_recorded AFTER INSERT OR UPDATE OF content_hash ON renditions
    FOR EACH ROW EXECUTE FUNCTION note_recorded()`);
}

/** Of this many images, one is also read at addresses that show the current rendition, which makes it on request. */
const imagesPerCurrentRead = 20;

/** Returns addresses of the renditions as they are now and, for some images, addresses that show the current ones. */
async function listAddresses({ query, preset }: CampaignRunOptions): Promise<string[]> {
  const rows = await query(`
    SELECT i.uuid, r.recipe FROM images i JOIN renditions r ON r.image_id = i.id AND r.superseded_at IS NULL
    WHERE r.preset = '${preset}' AND r.format = 'jpeg' AND r.density = 1`);
  return rows.flatMap(({ uuid, recipe }, index) => [
    `/i/${String(uuid)}/${preset}.${String(recipe)}.jpg`,
    ...(index % imagesPerCurrentRead === 0
      ? [`/i/${String(uuid)}/${preset}.jpg`, `/v1/images/${String(uuid)}/renditions/${preset}`]
      : []),
  ]);
}

async function startRendering(serverUrl: string, preset: string): Promise<Rendering> {
  const response = await fetch(`${serverUrl}/v1/renderings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ preset }),
  });
  if (response.status !== 201) throw new Error(`The campaign did not start: ${await response.text()}`);
  return ((await response.json()) as { rendering: Rendering }).rendering;
}

async function findRendering(serverUrl: string, id: number): Promise<Rendering> {
  return (await (await fetch(`${serverUrl}/v1/renderings/${id}`)).json()) as Rendering;
}

/** Reads random addresses until it is stopped. */
function startReading(serverUrl: string, addresses: readonly string[]) {
  const failedReads: string[] = [];
  let reads = 0;
  const stopController = new AbortController();
  const readUntilStopped = async () => {
    while (!stopController.signal.aborted) {
      const address = addresses[Math.floor(Math.random() * addresses.length)] ?? '/';
      const response = await fetch(serverUrl + address).catch((error: unknown) => String(error));
      reads++;
      if (typeof response === 'string') failedReads.push(`${address}: ${response}`);
      else if (response.ok) await response.arrayBuffer();
      else failedReads.push(`${address}: ${response.status} ${await response.text()}`);
      await sleep(5);
    }
  };
  const running = Array.from({ length: readers }, readUntilStopped);
  return {
    async stop() {
      stopController.abort();
      await Promise.all(running);
      return { reads, failedReads };
    },
  };
}

async function inspect({ query, preset }: CampaignRunOptions, id: number) {
  const [row = {}] = await query(`
    WITH gaps AS (
      SELECT at - lag(at) OVER (PARTITION BY image_id, variant, recipe ORDER BY at) > interval '${maxOverlapSeconds} s' AS is_long
      FROM recorded_renditions)
    SELECT (SELECT count(*)::int FROM gaps WHERE is_long) AS repeated,
      (SELECT count(*)::int FROM gaps WHERE NOT is_long) AS simultaneous,
      (SELECT count(*)::int FROM images i WHERE i.deleted_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM recorded_renditions n JOIN renditions r ON r.image_id = n.image_id AND r.recipe = n.recipe
        WHERE n.image_id = i.id AND r.preset = '${preset}' AND r.superseded_at IS NULL)) AS missing,
      (SELECT coalesce(sum(lease_losses), 0)::int FROM jobs WHERE campaign_id = ${id}) AS "lostLeases"`);
  return {
    repeated: Number(row['repeated']),
    simultaneous: Number(row['simultaneous']),
    missing: Number(row['missing']),
    lostLeases: Number(row['lostLeases']),
  };
}
