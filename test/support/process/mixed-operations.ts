import { Client } from 'pg';
import { openPostgresDatabase } from '../../../src/db/engine/postgres.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { originalKey, parseKey } from '../../../src/storage/keys.ts';
import { makeCatalog } from '../inner/catalog.ts';
import { attemptOf } from '../inner/jobs.ts';
import { contentOf, derivedFactsOf, hashOf, uploadOf } from '../inner/records.ts';

/**
 * A process that does to the images of one tenant what clients and workers do, in an order that `seed` gives: with many of
 * its kind, on few contents, so that they meet. Files are rows of the table `stored`, written as services write files: before
 * the commit that names them, and removed after the commit that no longer does. Prints what should not have happened.
 *
 *   node mixed-operations.ts URL TENANT_ID SEED OPERATIONS
 */

const [url = '', tenant = '', seed = '', operations = ''] = process.argv.slice(2);
const tenantId = Number(tenant);
const contents = ['vase', 'lamp', 'mug', 'shirt', 'shoes'];

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function makeRandom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = makeRandom(Number(seed));
const pick = <T>(all: readonly T[]): T | undefined => all[Math.floor(random() * all.length)];

const logger = { info() {}, warn() {}, error() {}, debug() {} };
const database = await openPostgresDatabase(
  { url, poolSize: 3, connectMs: 10_000, statementMs: 20_000, waitMs: 5_000 },
  logger,
);
const store = new Client({ connectionString: url });
await store.connect();
const catalog = makeCatalog(database, tenantId);
const { fingerprints, images, jobs, purging, recounting, references, storedFiles, usage } = catalog;

interface InHand {
  readonly job: ClaimedJob;
  readonly content: string;
}
const inHand: InHand[] = [];

async function put(keys: readonly string[]): Promise<void> {
  await store.query('INSERT INTO stored SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [keys]);
}
async function remove(key: string): Promise<void> {
  await store.query('DELETE FROM stored WHERE key = $1', [key]);
}
async function anyImage(condition = 'true'): Promise<number> {
  const { rows } = await store.query<{ id: string }>(
    `SELECT id FROM images WHERE ${condition} ORDER BY id DESC LIMIT 12`,
  );
  return Number(pick(rows)?.id ?? 0);
}
const keyOfContent = (content: string) => originalKey(tenantId, hashOf(content));

/** One of the jobs in hand, which is then no longer there. */
function take(): InHand | undefined {
  return inHand.splice(Math.floor(random() * inHand.length), 1)[0];
}

async function claim(kind: 'derive' | 'import'): Promise<void> {
  for (const job of await jobs.claimDue(kind, 2, 60)) {
    const content = contents.find((one) => hashOf(one) === job.original?.contentHash) ?? pick(contents) ?? '';
    inHand.push({ job, content });
  }
}

/** Gives an import its content; `undefined` when the lease is lost. */
async function attached({ job, content }: InHand): Promise<ClaimedJob | undefined> {
  if (job.original) return job;
  await put([keyOfContent(content)]);
  if (!(await jobs.attachContent(job, contentOf(tenantId, content)))) return undefined;
  await put([keyOfContent(content)]);
  return { ...job, original: { key: keyOfContent(content), contentHash: hashOf(content) } };
}

/** Other contents are near-duplicates of each other. */
async function nearDuplicates(content: string) {
  const { rows } = await store.query<{ id: string; uuid: string }>(
    `SELECT id, uuid FROM images WHERE deleted_at IS NULL AND status = 'completed' AND content_hash <> $1
     ORDER BY random() LIMIT 3`,
    [hashOf(content)],
  );
  return rows.map(({ id, uuid }) => ({ id: Number(id), uuid, distance: 1, difference: 1, reason: 'alike' }));
}

async function complete(held: InHand): Promise<void> {
  const { content } = held;
  if (held.job.kind === 'import' && !held.job.original && random() < 0.5) {
    if ((await catalog.shareKnown(held.job, content)) !== 'first-unavailable') return;
  }
  const job = await attached(held);
  if (!job) return;
  const near = await nearDuplicates(content);
  const facts = derivedFactsOf(content, { nearDuplicates: near });
  const recipe = random() < 0.7 ? '0123456789' : 'ffffffffff';
  const made = catalog.renditionsOf(content).map((one) => ({
    ...one,
    recipe,
    storageKey: one.storageKey.replace(one.recipe, recipe),
  }));
  const donor = near.find(({ id }) => id < job.imageId);
  if (donor && job.isFirstRun && random() < 0.6) {
    const shared = await catalog.shareWith(job, content, donor.id);
    if (shared !== 'donor-unavailable') return;
  }
  await put(made.map(({ storageKey }) => storageKey));
  await jobs.complete(job, made, facts);
  await fingerprints.addNearDuplicates(job.imageId, await nearDuplicates(content));
}

async function upload(isInline: boolean): Promise<void> {
  const content = pick(contents) ?? '';
  await put([keyOfContent(content)]);
  const recorded = await jobs.enqueueUpload(
    uploadOf(tenantId, content, isInline ? { leaseSeconds: 60 } : {}),
  );
  await put([keyOfContent(content)]);
  if (recorded.outcome !== 'known' && isInline) inHand.push({ job: recorded.job, content });
  if (recorded.outcome === 'known') await images.acknowledge(recorded.imageId);
}

async function purge(): Promise<void> {
  const future = new Date(Date.now() + 86_400_000);
  const isUnused = random() < 0.3;
  const candidate = pick(
    isUnused
      ? await purging.listUnused({ tenantId, minAgeDays: 0 }, { limit: 10 })
      : await purging.listDeleted(tenantId, future, { limit: 10 }),
  );
  if (!candidate) return;
  const reason = isUnused ? { unusedForDays: 0 } : { deletedBefore: future };
  const removed = await purging.remove(candidate, reason);
  for (const { key } of removed?.files ?? []) {
    const file = parseKey(key);
    if (file) await storedFiles.removeUnused(file, () => remove(key));
  }
}

async function withdraw(): Promise<void> {
  const held = take();
  if (!held) return;
  const { job, content } = held;
  const key = keyOfContent(content);
  const isInline = job.kind === 'derive' && job.isFirstRun;
  const removeOriginal = () => remove(key);
  if (isInline && (await jobs.withdraw(job, { contentHash: hashOf(content), removeOriginal }))) return;
  await jobs.recordFailure(job, attemptOf('permanent'), { state: 'failed' });
}

async function refer(): Promise<void> {
  const id = await anyImage();
  const name = `page ${Math.floor(random() * 3)}`;
  await (random() < 0.5 ? references.add(id, name) : references.remove(id, name));
}

async function beginImports(): Promise<void> {
  const lines = Array.from({ length: 3 }, () => {
    const path = `https://example.com/${Math.floor(random() * 6)}`;
    return { tenantId, url: path, urlHash: hashOf(path), reference: random() < 0.5 ? 'page' : undefined };
  });
  await jobs.enqueueUrls(lines, random() < 0.5 ? 'reuse-completed' : 'allow-retry', 50);
}

/** Counters are right at each moment, not only at the end. */
async function recount(): Promise<void> {
  const drifts = await recounting.correctUsage(tenantId);
  if (drifts.length > 0) throw new Error(`Usage drifted: ${JSON.stringify(drifts)}`);
  const settled = await recounting.repairOwners(tenantId);
  if (settled > 0) throw new Error(`${settled} images had files with no owner or several.`);
}

const completeOne = async () => {
  const held = take();
  if (held) await complete(held);
};

const actions: readonly (() => Promise<unknown>)[] = [
  () => upload(true),
  () => upload(true),
  () => upload(false),
  beginImports,
  () => claim('derive'),
  () => claim('derive'),
  () => claim('import'),
  () => claim('import'),
  completeOne,
  completeOne,
  completeOne,
  completeOne,
  completeOne,
  withdraw,
  refer,
  refer,
  async () => catalog.hide(await anyImage(), random() < 0.5),
  async () => catalog.hide(await anyImage('deleted_at IS NULL'), random() < 0.5),
  async () => catalog.restore(await anyImage('deleted_at IS NOT NULL')),
  purge,
  purge,
  async () => jobs.requeue(await anyImage("status = 'completed'"), 50),
  async () => jobs.retryAll(unrestrictedPrincipal, { code: 'permanent_code' }),
  async () => {
    await store.query("UPDATE jobs SET lease_until = now() WHERE state = 'processing' AND id % 5 = 0");
    await jobs.takeOverLostLeases(10, false);
  },
  async () => jobs.handBack(inHand.splice(0, 1).map(({ job }) => job)),
  () => usage.fold(),
  recount,
];

for (let left = Number(operations); left > 0; left--) {
  try {
    await pick(actions)?.();
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    process.stdout.write(`${JSON.stringify({ code, cause: cause?.code, error: String(error) })}\n`);
  }
}
await jobs.handBack(inHand.map(({ job }) => job));
await store.end();
await database.close();
