import { expect, test } from 'vitest';
import { makeCandidateVectorQueries } from '../../../src/db/images/candidate-vectors.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { embeddingSpace } from '../../../src/model/fingerprint.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeDerivedFacts } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const candidateVectors = makeCandidateVectorQueries(database);

test('reads the vectors of a tenant’s images in one space', async () => {
  const vaseId = await catalog.add('vase');
  const vector = Array.from({ length: 512 }, (_, index) => Math.sin(index) / 16);
  const embedding = { space: embeddingSpace, vector };
  const job = await catalog.upload('wave');
  await catalog.jobs.complete(job, [], makeDerivedFacts('wave', { embedding }));
  const vectors = await candidateVectors.list(shop.id, embeddingSpace, [vaseId, job.imageId, 424_242]);
  expect(new Set(vectors.keys())).toEqual(new Set([vaseId, job.imageId]));
  const stored = vectors.get(job.imageId)!;
  expect(stored).toHaveLength(512);
  // The database stores any scale: only the direction matters.
  const scale = stored[1]! / vector[1]!;
  for (const [index, value] of vector.entries()) expect(stored[index]! / scale).toBeCloseTo(value, 3);
  expect(await candidateVectors.list(shop.id, 'older-0', [vaseId])).toEqual(new Map());
  expect(await candidateVectors.list(shop.id + 1, embeddingSpace, [vaseId])).toEqual(new Map());
});
