import type { Raster } from '../../src/imaging/decoding/pixels.ts';
import type { RenditionFormat } from '../../src/model/preset.ts';
import { decodeAt, meanOf, measure } from './encoded-picture.ts';

const jpegQualities = [50, 60, 75, 80, 85, 90, 95];
const formats: readonly RenditionFormat[] = ['webp', 'avif'];

/** Prints the lowest quality of each format whose mean SSIM is at least that of a JPEG, at every side. */
export async function calibrate(pictures: readonly Buffer[], sides: readonly number[]): Promise<void> {
  const rows = jpegQualities.map((jpeg) => ({ jpeg, webp: 1, avif: 1 }) as Record<RenditionFormat, number>);
  for (const side of sides) {
    const rasters: Raster[] = [];
    for (const picture of pictures) rasters.push(await decodeAt(picture, side));
    for (const row of rows) {
      const { ssim } = await meanAt(rasters, 'jpeg', row.jpeg);
      for (const format of formats)
        row[format] = Math.max(row[format], await findQuality(rasters, format, row.jpeg, ssim));
      console.log(
        `${side} px: JPEG ${row.jpeg} has SSIM ${ssim.toFixed(4)}; up to here, WebP ${row.webp}, AVIF ${row.avif}`,
      );
    }
  }
  for (const { jpeg, webp, avif } of rows) console.log(`{ jpeg: ${jpeg}, webp: ${webp}, avif: ${avif} },`);
}

/** The qualities of all formats with the same SSIM are within this distance of JPEG's. */
const maxDistance = 32;

/** Returns the lowest quality with at least the given mean SSIM. */
async function findQuality(
  rasters: readonly Raster[],
  format: RenditionFormat,
  jpegQuality: number,
  ssim: number,
): Promise<number> {
  let [low, high] = [Math.max(1, jpegQuality - maxDistance), Math.min(100, jpegQuality + maxDistance)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((await meanAt(rasters, format, middle)).ssim >= ssim) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function meanAt(rasters: readonly Raster[], format: RenditionFormat, quality: number) {
  const measurements = [];
  for (const raster of rasters) measurements.push(await measure(raster, format, quality));
  return meanOf(measurements);
}
