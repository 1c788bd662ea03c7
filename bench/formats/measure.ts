import { makePreset, type RenditionFormat } from '../../src/model/preset.ts';
import { decodeAt, meanOf, measure, type Measurement } from './encoded-picture.ts';

const formats: readonly RenditionFormat[] = ['jpeg', 'webp', 'avif', 'png'];

/** Prints a table of the formats at their default qualities. */
export async function measureFormats(pictures: readonly Buffer[], side: number): Promise<void> {
  const { quality } = makePreset({ name: 'measured', width: side, height: side });
  const measurements = new Map<RenditionFormat, Measurement[]>(formats.map((format) => [format, []]));
  for (const picture of pictures) {
    const raster = await decodeAt(picture, side);
    for (const format of formats)
      measurements.get(format)?.push(await measure(raster, format, quality[format]));
  }
  const jpegBytes = meanOf(measurements.get('jpeg') ?? []).bytes;
  console.log(`\n| ${side} px | Quality | Bytes | Compared with JPEG | SSIM | CPU |`);
  console.log('|---|---|---|---|---|---|');
  for (const [format, results] of measurements) {
    const { bytes, ssim, cpuMs } = meanOf(results);
    const difference = `${Math.round((bytes / jpegBytes - 1) * 100)} %`.replace('-', '−');
    const shownQuality = format === 'png' ? 'lossless' : quality[format];
    console.log(
      `| ${format} | ${shownQuality} | ${Math.round(bytes)} | ${difference} | ${ssim.toFixed(4)} | ${cpuMs.toFixed(1)} ms |`,
    );
  }
}
