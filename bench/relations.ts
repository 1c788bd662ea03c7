import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Relation } from '../src/model/relation.ts';
import { drawPictures } from './pictures.ts';

/**
 * Measures how well near-duplicates are told from variants, without a database: for each edit of each picture, whether one of its
 * hashes is within the radius of the search, and which tier the comparison yields. Then compares all pairs of pictures that are within
 * the radius. Run `npm run bench:relations -- --folder DIR` with a folder of photographs, of which `--half a` or `--half b` takes every
 * second product (files that have the same name up to the first `-` or `_`); without it, the benchmark draws products.
 */

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    photos: { type: 'string', default: '40' },
    half: { type: 'string' },
  },
});

const productOf = (name: string) => name.split(/[-_]/)[0] ?? name;

async function readFolder(folder: string): Promise<Buffer[]> {
  const names = (await readdir(folder)).filter((name) => /\.(?:jpe?g|png|webp)$/i.test(name)).toSorted();
  const products = [...new Set(names.map(productOf))];
  const isInHalf = (name: string) =>
    values.half === undefined || products.indexOf(productOf(name)) % 2 === (values.half === 'a' ? 0 : 1);
  return Promise.all(names.filter(isInHalf).map((name) => readFile(join(folder, name))));
}

const pictures =
  values.folder === undefined ? await drawPictures(Number(values.photos)) : await readFolder(values.folder);
// The pictures are drawn from SVG, which the imaging code blocks once it is loaded.
const { edits, recolourings } = await import('./relations/edits.ts');
const { describe, isCandidate, relate } = await import('./relations/compare.ts');

const step = Math.max(1, Math.floor(pictures.length / Number(values.photos)));
const sample = pictures.filter((_, index) => index % step === 0);
const startCpu = process.cpuUsage();
let comparisons = 0;

async function measure(name: string, edit: (picture: Buffer) => Promise<Buffer>): Promise<number> {
  const tiers = new Map<string, number>();
  let [found, candidates] = [0, 0];
  for (const picture of sample) {
    const copy = await edit(picture);
    if (isCandidate(await describe(copy), await describe(picture))) candidates++;
    else continue;
    comparisons++;
    const relation: Relation | null = await relate(copy, picture);
    const tier = relation?.tier ?? 'unrelated';
    if (['identical', 'reencoded', 'edited'].includes(tier)) found++;
    tiers.set(tier, (tiers.get(tier) ?? 0) + 1);
  }
  const share = ((100 * found) / sample.length).toFixed(1).padStart(6);
  const tierList = [...tiers].map(([tier, count]) => `${count} ${tier}`).join(', ');
  console.log(`${name.padEnd(24)} ${share} %   ${candidates} of ${sample.length} candidates: ${tierList}`);
  return found / sample.length;
}

console.log(`${pictures.length} pictures, ${sample.length} of them edited`);
const recalls: number[] = [];
for (const [name, edit] of Object.entries(edits)) recalls.push(await measure(name, edit));
const mean = recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
console.log(`recall, mean of ${recalls.length} edits: ${(100 * mean).toFixed(1)} %`);
console.log('recoloured pictures that are taken for duplicates:');
for (const [name, edit] of Object.entries(recolourings)) await measure(name, edit);

const descriptions = await Promise.all(pictures.map(describe));
let [pairs, duplicates] = [0, 0];
for (const [index, picture] of pictures.entries()) {
  for (let other = index + 1; other < pictures.length; other++) {
    const [a, b] = [descriptions[other], descriptions[index]];
    if (!a || !b || !isCandidate(a, b)) continue;
    pairs++;
    comparisons++;
    const relation = await relate(pictures[other] ?? picture, picture);
    if (relation && ['identical', 'reencoded', 'edited'].includes(relation.tier)) duplicates++;
  }
}
console.log(
  `${pairs} pairs of different pictures within the radius, ${duplicates} of them taken for duplicates`,
);
const { user, system } = process.cpuUsage(startCpu);
console.log(
  `${comparisons} comparisons; ${((user + system) / 1000 / comparisons).toFixed(0)} ms CPU each, edits and decoding included`,
);
