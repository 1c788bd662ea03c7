import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { openPostgresDatabase } from '../../../src/db/engine/postgres.ts';
import { duplicateVerdicts } from '../../../src/model/duplicates.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { originalKey, parseKey, renditionKey } from '../../../src/storage/keys.ts';
import { makeCatalog } from '../inner/catalog.ts';
import { makeFailedAttempt } from '../inner/jobs.ts';
import { makeFetchedContent, makeDerivedFacts, makePair, sha256Hex, makeUpload } from '../inner/records.ts';

/**
 * Runs random client and worker operations on one tenant's images. SEED determines their order. Tests run several
 * copies of this program concurrently. All copies use the same few contents, so that their operations conflict. A row
 * in the `stored` table represents a stored file. As in Vitrine's services, a file is written before a reference to it
 * is committed, and it is removed after the removal of its last reference is committed. Prints unexpected errors.
 *
 *   node mixed-operations.ts URL TENANT_ID SEED OPERATIONS
 */

const [url = '', tenant = '', seed = '', operations = ''] = process.argv.slice(2);
const tenantId = Number(tenant);
const contents = ['vase', 'lamp', 'mug', 'shirt', 'shoes'];

/** Returns a seeded generator of numbers in [0, 1) (mulberry32). */
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
const { fingerprints, focalPoints, images, jobs, purging, recounting, references, storedFiles, usage } =
  catalog;
const { renditionRemoval, variantClaims, variants, duplicateGroups, resolutions, verdicts } = catalog;

interface RunningJob {
  readonly job: ClaimedJob;
  readonly content: string;
}
const runningJobs: RunningJob[] = [];

async function putFiles(keys: readonly string[]): Promise<void> {
  await store.query('INSERT INTO stored SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [keys]);
}
async function removeFile(key: string): Promise<void> {
  await store.query('DELETE FROM stored WHERE key = $1', [key]);
}
async function pickImageId(condition = 'true'): Promise<number> {
  const { rows } = await store.query<{ id: string }>(
    `SELECT id FROM images WHERE ${condition} ORDER BY id DESC LIMIT 12`,
  );
  return Number(pick(rows)?.id ?? 0);
}
const originalKeyFor = (content: string) => originalKey(tenantId, sha256Hex(content));

/** Removes and returns a random running job. */
function takeRunningJob(): RunningJob | undefined {
  return runningJobs.splice(Math.floor(random() * runningJobs.length), 1)[0];
}

async function claim(kind: 'derive' | 'import'): Promise<void> {
  for (const job of await jobs.claimDue(kind, 2, 60)) {
    const content =
      contents.find((candidate) => sha256Hex(candidate) === job.original?.contentHash) ??
      pick(contents) ??
      '';
    runningJobs.push({ job, content });
  }
}

/** Attaches content to an import. Returns `undefined` if the lease is lost. */
async function attachContent({ job, content }: RunningJob): Promise<ClaimedJob | undefined> {
  if (job.original) return job;
  await putFiles([originalKeyFor(content)]);
  if (!(await jobs.attachContent(job, makeFetchedContent(tenantId, content)))) return undefined;
  await putFiles([originalKeyFor(content)]);
  return { ...job, original: { key: originalKeyFor(content), contentHash: sha256Hex(content) } };
}

/** Returns up to three images with different content, as if they were near-duplicates. */
async function findNearDuplicates(content: string) {
  const { rows } = await store.query<{ id: string; uuid: string }>(
    `SELECT id, uuid FROM images WHERE deleted_at IS NULL AND status = 'completed' AND content_hash <> $1
     ORDER BY random() LIMIT 3`,
    [sha256Hex(content)],
  );
  return rows.map(({ id, uuid }) => makePair(Number(id), { uuid }));
}

async function complete(runningJob: RunningJob): Promise<void> {
  const { content } = runningJob;
  if (runningJob.job.kind === 'import' && !runningJob.job.original && random() < 0.5) {
    if ((await catalog.completeAsDuplicate(runningJob.job, content)) !== 'first-image-unavailable') return;
  }
  const job = await attachContent(runningJob);
  if (!job) return;
  const similarImages = await findNearDuplicates(content);
  const facts = makeDerivedFacts(content, { nearDuplicates: similarImages });
  const recipe = random() < 0.7 ? '0123456789' : 'ffffffffff';
  const renditions = catalog.makeRenditions(content).map((rendition) => ({
    ...rendition,
    recipe,
    storageKey: rendition.storageKey.replace(rendition.recipe, recipe),
  }));
  const donor = similarImages.find(({ id }) => id < job.imageId);
  if (donor && job.isFirstRun && random() < 0.6) {
    const outcome = await catalog.completeWithDonor(job, content, donor.id);
    if (outcome !== 'donor-unavailable') return;
  }
  await putFiles(renditions.map(({ storageKey }) => storageKey));
  await jobs.complete(job, renditions, facts);
  await fingerprints.addNearDuplicates(job.imageId, await findNearDuplicates(content));
}

async function isStored(key: string): Promise<boolean> {
  const { rows } = await store.query('SELECT 1 FROM stored WHERE key = $1', [key]);
  return rows.length > 0;
}

/** Makes a variant of a random image on request, or shares it, as the delivery service does. */
async function makeVariant(job?: ClaimedJob): Promise<void> {
  const image = await images.find(unrestrictedPrincipal, { id: job?.imageId ?? (await pickImageId()) });
  const content = contents.find((candidate) => sha256Hex(candidate) === image?.contentHash);
  if (!image || content === undefined) return;
  const recipe = random() < 0.7 ? '0123456789' : 'ffffffffff';
  const format = random() < 0.7 ? 'webp' : 'jpeg';
  const key = renditionKey(tenantId, sha256Hex(content), 'card', recipe, format);
  const name = { preset: 'card', format, density: 1 } as const;
  const sharable = await variants.findSharable(image.id, { ...name, recipe, storageKey: key });
  if (sharable && random() < 0.7) {
    await variants.share(image.id, sharable, image.focalPoint);
    return;
  }
  const claim = { imageId: image.id, ...name, recipe };
  const token = randomUUID();
  if (!job && (await variantClaims.claim(claim, token, 1)).outcome !== 'claimed') return;
  await putFiles([key]);
  const [, card] = catalog.makeRenditions(content);
  const rendition = {
    ...card!,
    ...name,
    recipe,
    storageKey: key,
    isListed: format === 'jpeg',
    isOnRequest: true,
  };
  const recorded = await variants.record({
    imageId: image.id,
    renditions: [rendition],
    focalPoint: image.focalPoint,
    job,
    hasFiles: () => isStored(key),
  });
  if (typeof recorded !== 'string') return;
  await variantClaims.release(claim, token);
  const file = parseKey(key);
  if (file) await storedFiles.removeUnused(file, () => removeFile(key));
}

/** Removes a rendition that was made on request or has been superseded, and then its file. */
async function removeRendition(): Promise<void> {
  const reason = random() < 0.5 ? 'on-request' : { supersededDays: 0 };
  const rendition = pick(await renditionRemoval.list(reason, 20));
  if (!rendition || !(await renditionRemoval.remove(rendition, reason))) return;
  const file = parseKey(rendition.storageKey);
  if (file) await storedFiles.removeUnused(file, () => removeFile(file.key));
}

async function addRenderJob(): Promise<void> {
  const variant = { preset: 'card', format: 'webp', density: 1 } as const;
  await jobs.enqueueRender({ imageId: await pickImageId(), variants: [variant], priority: 200 });
}

async function runRenderJobs(): Promise<void> {
  for (const job of await jobs.claimDue('render', 2, 60)) {
    await makeVariant(job);
    await (random() < 0.8
      ? jobs.completeRender(job)
      : jobs.recordFailure(job, makeFailedAttempt('permanent'), { state: 'failed' }));
  }
}

async function upload(isInline: boolean): Promise<void> {
  const content = pick(contents) ?? '';
  await putFiles([originalKeyFor(content)]);
  const result = await jobs.enqueueUpload(
    makeUpload(tenantId, content, isInline ? { leaseSeconds: 60 } : {}),
  );
  await putFiles([originalKeyFor(content)]);
  if (result.outcome !== 'known' && isInline) runningJobs.push({ job: result.job, content });
  if (result.outcome === 'known') await images.acknowledge(result.imageId);
}

async function purge(): Promise<void> {
  const tomorrow = new Date(Date.now() + 86_400_000);
  const isUnused = random() < 0.3;
  const candidate = pick(
    isUnused
      ? await purging.listUnused({ tenantId, minAgeDays: 0 }, { limit: 10 })
      : await purging.listDeleted(tenantId, tomorrow, { limit: 10 }),
  );
  if (!candidate) return;
  const reason = isUnused ? { unusedWithMinAgeDays: 0 } : { deletedBefore: tomorrow };
  const removedImage = await purging.remove(systemPrincipal, candidate, reason);
  for (const { key } of removedImage?.files ?? []) {
    const file = parseKey(key);
    if (file) await storedFiles.removeUnused(file, () => removeFile(key));
  }
}

async function withdraw(): Promise<void> {
  const runningJob = takeRunningJob();
  if (!runningJob) return;
  const { job, content } = runningJob;
  const key = originalKeyFor(content);
  const isInline = job.kind === 'derive' && job.isFirstRun;
  const removeOriginal = () => removeFile(key);
  if (isInline && (await jobs.withdraw(job, { contentHash: sha256Hex(content), removeOriginal }))) return;
  await jobs.recordFailure(job, makeFailedAttempt('permanent'), { state: 'failed' });
}

async function changeReference(): Promise<void> {
  const id = await pickImageId();
  const name = `page ${Math.floor(random() * 3)}`;
  await (random() < 0.5
    ? references.add(systemPrincipal, id, name)
    : references.remove(systemPrincipal, id, name));
}

/** Sets or takes back the verdict on two random images. */
async function judge(): Promise<void> {
  const ids = [await pickImageId('deleted_at IS NULL'), await pickImageId('deleted_at IS NULL')];
  const found = await images.listByIds(unrestrictedPrincipal, ids);
  const [image, other] = found.flatMap(({ id, uuid, contentHash }) =>
    contentHash === null ? [] : [{ id, uuid, tenantId, contentHash }],
  );
  if (!image || !other || image.contentHash === other.contentHash) return;
  const verdict = pick([...duplicateVerdicts, undefined]);
  await (verdict === undefined
    ? verdicts.remove(systemPrincipal, [image, other])
    : verdicts.set(systemPrincipal, [image, other], verdict));
}

/** Resolves a random group. Another process may have changed it since it was listed. */
async function resolveGroup(): Promise<void> {
  const { groups } = await duplicateGroups.list(unrestrictedPrincipal, {}, { limit: 5 });
  const group = pick(groups);
  const members = group?.members.map(({ image }) => ({ id: image })) ?? [];
  const keep = pick(members);
  if (!group || !keep) return;
  const discard = members.filter((member) => member !== keep);
  await resolutions.resolve(unrestrictedPrincipal, group.id, { keep, discard });
}

async function enqueueImports(): Promise<void> {
  const lines = Array.from({ length: 3 }, () => {
    const path = `https://example.com/${Math.floor(random() * 6)}`;
    return { tenantId, url: path, urlHash: sha256Hex(path), reference: random() < 0.5 ? 'page' : undefined };
  });
  await jobs.enqueueUrls(systemPrincipal, lines, random() < 0.5 ? 'reuse-completed' : 'allow-retry', 50);
}

/** Recounts the tenant's usage. Throws if a usage counter or a file's owner was wrong. */
async function recount(): Promise<void> {
  const drifts = await recounting.correctUsage(tenantId);
  if (drifts.length > 0) throw new Error(`Usage drifted: ${JSON.stringify(drifts)}`);
  const correctedCount = await recounting.repairOwners(tenantId);
  if (correctedCount > 0)
    throw new Error(`${correctedCount} images used files that had no owner or several owners.`);
}

const completeOne = async () => {
  const runningJob = takeRunningJob();
  if (runningJob) await complete(runningJob);
};

const actions: readonly (() => Promise<unknown>)[] = [
  () => upload(true),
  () => upload(true),
  () => upload(false),
  enqueueImports,
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
  changeReference,
  changeReference,
  judge,
  judge,
  resolveGroup,
  () => makeVariant(),
  () => makeVariant(),
  () => makeVariant(),
  removeRendition,
  addRenderJob,
  runRenderJobs,
  async () =>
    focalPoints.set(systemPrincipal, { id: await pickImageId() }, pick([null, { x: 0.5, y: 0.25 }]) ?? null),
  async () => catalog.softDelete(await pickImageId(), random() < 0.5),
  async () => catalog.softDelete(await pickImageId('deleted_at IS NULL'), random() < 0.5),
  async () => catalog.restore(await pickImageId('deleted_at IS NOT NULL')),
  purge,
  purge,
  async () => jobs.requeue(await pickImageId("status = 'completed'"), 50),
  async () => jobs.retryAll(unrestrictedPrincipal, { code: 'permanent_code' }),
  async () => {
    await store.query("UPDATE jobs SET lease_until = now() WHERE state = 'processing' AND id % 5 = 0");
    await jobs.takeOverLostLeases(10, false);
  },
  async () => jobs.handBack(runningJobs.splice(0, 1).map(({ job }) => job)),
  () => usage.foldDeltas(),
  recount,
];

for (let remaining = Number(operations); remaining > 0; remaining--) {
  try {
    await pick(actions)?.();
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: { code?: string } };
    process.stdout.write(`${JSON.stringify({ code, cause: cause?.code, error: String(error) })}\n`);
  }
}
await jobs.handBack(runningJobs.map(({ job }) => job));
await store.end();
await database.close();
