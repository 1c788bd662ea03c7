import * as fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { embeddingSpace, fingerprintVersion, hashDistance } from '../../../src/model/fingerprint.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeDerivedFacts, makePair, sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const { fingerprints, embeddings, jobs } = catalog;
const vase = makeDerivedFacts('vase').fingerprint;
let id: number;

beforeEach(async () => {
  id = await catalog.add('vase');
});

/** Returns the hash with the given bits flipped. */
function flipBits(hash: string, bits: readonly number[]): string {
  const bytes = Buffer.from(hash, 'hex');
  for (const bit of bits) bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
  return bytes.toString('hex');
}

const findNeighbourIds = async (
  hash: string,
  maxBits: number,
  excludedContentHash = '',
  tenantId = shop.id,
) =>
  (await fingerprints.findNeighbours(tenantId, [{ frame: 'full', hash, maxBits }], excludedContentHash)).map(
    (neighbour) => neighbour.id,
  );

test('returns a neighbour with its stored fingerprint and renditions', async () => {
  const [neighbour] = await fingerprints.findNeighbours(
    shop.id,
    [{ frame: 'full', hash: vase.hash, maxBits: 0 }],
    '',
  );
  expect(neighbour).toMatchObject({ id, contentHash: sha256Hex('vase'), probe: 0, differingBits: 0 });
  const { version, hash, quality, aspect, thumbnail } = vase;
  expect(neighbour?.fingerprint).toEqual({ version, hash, quality, aspect, thumbnail });
  expect(neighbour?.renditions.map(({ preset }) => preset).toSorted()).toEqual(['card', 'thumb']);
});

test('finds a neighbour only if the number of differing bits is within the limit', async () => {
  const bits = fc.uniqueArray(fc.nat(255), { minLength: 0, maxLength: 15 });
  await fc.assert(
    fc.asyncProperty(bits, async (flippedBits) => {
      const hash = flipBits(vase.hash, flippedBits);
      expect(hashDistance(hash, vase.hash)).toBe(Math.ceil(flippedBits.length / 4));
      expect(await findNeighbourIds(hash, flippedBits.length)).toEqual([id]);
      if (flippedBits.length > 0) expect(await findNeighbourIds(hash, flippedBits.length - 1)).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test('lists the nearest neighbours first, without the excluded content', async () => {
  const idByDistance = new Map<number, number>();
  for (const distance of [9, 3, 6]) {
    const content = `copy ${distance}`;
    const job = await catalog.upload(content);
    const hash = flipBits(
      vase.hash,
      Array.from({ length: distance }, (_, n) => n * 20),
    );
    await jobs.complete(
      job,
      [],
      makeDerivedFacts(content, {
        fingerprint: { ...vase, hash, frameHashes: [{ frame: 'full', hash }] },
      }),
    );
    idByDistance.set(distance, job.imageId);
  }
  const [nearId, middleId, farId] = [idByDistance.get(3), idByDistance.get(6), idByDistance.get(9)];
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([id, nearId, middleId, farId]);
  expect(await findNeighbourIds(vase.hash, 20, sha256Hex('vase'))).toEqual([nearId, middleId, farId]);
  expect(await findNeighbourIds(vase.hash, 6, sha256Hex('vase'))).toEqual([nearId, middleId]);
});

test('lists no neighbours from other tenants or fingerprint versions, and no deleted images or duplicates', async () => {
  expect(await findNeighbourIds(vase.hash, 20, '', otherTenant.id)).toEqual([]);
  const stored = { tenant_id: shop.id, content_hash: sha256Hex('vase') };
  const setVersion = (version: number) =>
    database.sql
      .updateTable('fingerprints')
      .set({ version })
      .where((row) => row.and(stored))
      .execute();
  await setVersion(fingerprintVersion + 1);
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([]);
  await setVersion(1);
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([id]);
  const job = await catalog.claimImport('https://example.com/vase');
  await catalog.completeAsDuplicate(job, 'vase');
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([id]);
  await catalog.softDelete(id);
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([job.imageId]);
  await catalog.softDelete(job.imageId);
  expect(await findNeighbourIds(vase.hash, 20)).toEqual([]);
});

test('stores a near-duplicate pair once, and reports the pair for both images unless one of them is deleted', async () => {
  const job = await catalog.upload('lamp');
  const { uuid } = (await catalog.image(id))!;
  const match = makePair(id, { uuid, distance: 2, difference: 1.5 });
  const facts = makeDerivedFacts('lamp', { nearDuplicates: [match, { ...match, id: 424_242 }] });
  await jobs.complete(job, [], facts);
  await catalog.jobs.requeue(id, 50);
  const [requeuedJob] = await catalog.jobs.claimDue('derive', 1, 60);
  const lamp = (await catalog.image(job.imageId))!;
  const reverseMatch = { ...match, id: lamp.id, uuid: lamp.uuid };
  await jobs.complete(requeuedJob!, [], makeDerivedFacts('vase', { nearDuplicates: [reverseMatch] }));
  expect((await catalog.image(id))?.nearDuplicates).toEqual([reverseMatch]);
  expect((await catalog.image(lamp.id))?.nearDuplicates).toEqual([match]);
  expect(await selectRows(database, 'SELECT 1 FROM near_duplicates')).toHaveLength(1);
  await catalog.softDelete(lamp.id);
  expect((await catalog.image(id))?.nearDuplicates).toEqual([]);
});

test('finds no similar images for an image whose embedding is a zero vector', async () => {
  const job = await catalog.upload('blank');
  const vector = makeDerivedFacts('vase').embedding.vector.map(() => 0);
  await jobs.complete(job, [], makeDerivedFacts('blank', { embedding: { space: embeddingSpace, vector } }));
  const options = { limit: 10, threshold: 0.01, metric: 'cosine' } as const;
  const similarToVase = await embeddings.findSimilarToContent(
    shop.id,
    sha256Hex('vase'),
    embeddingSpace,
    options,
  );
  expect(similarToVase).toEqual({ matches: [], searchedCount: 1, isExact: true, space: embeddingSpace });
  const similarToBlank = await embeddings.findSimilarToContent(
    shop.id,
    sha256Hex('blank'),
    embeddingSpace,
    options,
  );
  expect(similarToBlank).toEqual({ matches: [], searchedCount: 1, isExact: true, space: embeddingSpace });
  const vaseEmbedding = { space: embeddingSpace, vector: makeDerivedFacts('vase').embedding.vector };
  const similarToPicture = await embeddings.findSimilarToPicture(shop.id, vaseEmbedding, '', options);
  expect(similarToPicture.matches).toMatchObject([{ id }]);
  expect(similarToPicture.matches[0]?.score).toBeCloseTo(1, 3);
  expect(await embeddings.count(embeddingSpace)).toBe(2);
});
