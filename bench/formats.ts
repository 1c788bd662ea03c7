import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { drawPictures } from './pictures.ts';

/**
 * Measures the formats of renditions at their default qualities: bytes, SSIM against the same pixels before encoding, and
 * processor time. Run `npm run bench:formats -- --folder DIR` with a folder of photographs; without it, the benchmark draws
 * product pictures. With `--calibrate`, finds the qualities at which the formats look like a JPEG.
 */

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    photos: { type: 'string', default: '100' },
    sides: { type: 'string', default: '400,1200' },
    calibrate: { type: 'boolean', default: false },
  },
});
const sides = values.sides.split(',').map(Number);
const count = Number(values.photos);

/** Reads photographs that are spread evenly over a folder, in the order of their names. */
async function readFolder(folder: string): Promise<Buffer[]> {
  const names = (await readdir(folder))
    .filter((name) => /\.(?:jpe?g|png|webp|tiff?)$/i.test(name))
    .toSorted();
  const step = Math.max(1, names.length / count);
  const selectedNames = Array.from(
    { length: Math.min(count, names.length) },
    (_, index) => names[Math.floor(index * step)] ?? '',
  );
  return Promise.all(selectedNames.map((name) => readFile(join(folder, name))));
}

const pictures = values.folder === undefined ? await drawPictures(count) : await readFolder(values.folder);
// The pictures are drawn from SVG, which the imaging code blocks once it is loaded.
const { calibrate } = await import('./formats/calibrate.ts');
const { measureFormats } = await import('./formats/measure.ts');
console.log(`${pictures.length} photographs, fitted into boxes of ${sides.join(' and ')} pixels`);
if (values.calibrate) await calibrate(pictures, sides);
else for (const side of sides) await measureFormats(pictures, side);
