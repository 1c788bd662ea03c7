import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { planCatalog } from '../../src/cli/seed/catalog-plan.ts';
import { drawPicture } from '../../src/cli/seed/draw-picture.ts';
import { generateSampleCatalog } from '../../src/cli/seed/generate-sample-catalog.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitrine-seed-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function hashFiles(directory: string): Promise<Record<string, string>> {
  const files = (await readdir(directory)).sort();
  const entries = files.map(async (file) => {
    const bytes = await readFile(join(directory, file));
    return [file, createHash('sha256').update(bytes).digest('hex')] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

test('generates the same files for the same seed, and different files for a different seed', {
  tags: 'slow',
}, async () => {
  const [firstFolder, secondFolder] = [join(folder, 'first'), join(folder, 'second')];
  await generateSampleCatalog({ directory: firstFolder, productCount: 1, seed: '1' });
  await generateSampleCatalog({ directory: secondFolder, productCount: 1, seed: '1' });
  expect(await hashFiles(firstFolder)).toEqual(await hashFiles(secondFolder));
  const [picture] = planCatalog(1, '2');
  const otherHash = createHash('sha256')
    .update(await drawPicture(picture!))
    .digest('hex');
  expect(Object.values(await hashFiles(firstFolder))).not.toContain(otherHash);
});

test('generates exact copies, near-duplicates and one corrupt file', { tags: 'scenario' }, async () => {
  const reportedFiles: string[] = [];
  const catalog = await generateSampleCatalog({
    directory: folder,
    productCount: 1,
    seed: '1',
    onFile: (file) => reportedFiles.push(file),
  });
  expect(reportedFiles.sort()).toEqual(catalog.files);
  const hashesByName = await hashFiles(folder);
  expect(Object.keys(hashesByName)).toEqual(catalog.files);
  const [exactCopy = ''] = catalog.exactDuplicates;
  expect(hashesByName[exactCopy]).toBe(hashesByName[exactCopy.replace('copy-of-', '')]);
  const [nearDuplicate = ''] = catalog.nearDuplicates;
  const [small, large] = await Promise.all(
    [nearDuplicate, nearDuplicate.replace('_web', '')].map((file) => sharp(join(folder, file)).metadata()),
  );
  expect(small?.width).toBe(Math.round((large?.width ?? 0) / 2));
  await expect(sharp(join(folder, catalog.corrupt), { failOn: 'error' }).stats()).rejects.toThrow();
  await expectShopPhotos(catalog.files.filter((file) => /_(main|back|detail)\.jpg$/.test(file)));
});

async function expectShopPhotos(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const { format, width, height } = await sharp(join(folder, file)).metadata();
    expect(format).toBe('jpeg');
    expect(Math.max(width, height)).toBeGreaterThanOrEqual(1200);
    expect(Math.max(width, height)).toBeLessThanOrEqual(1600);
  }
}

test('plans a catalog of the documented size with unique file names', () => {
  const names = planCatalog(12, '1').map(({ filename }) => filename);
  expect(names).toHaveLength(72);
  expect(new Set(names).size).toBe(72);
  expect(names.every((name) => /^[A-Z]{3}\d{4}-[a-z]+_(main|back|detail)\.jpg$/.test(name))).toBe(true);
});
