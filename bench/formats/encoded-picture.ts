import { toLuma } from '../../src/imaging/colour/luma-and-lab.ts';
import { decodePicture } from '../../src/imaging/decoding/decode-picture.ts';
import { openPicture } from '../../src/imaging/decoding/open-picture.ts';
import { decodeTo, type Raster, toOpaqueRaster } from '../../src/imaging/decoding/pixels.ts';
import { fitInside } from '../../src/imaging/geometry.ts';
import { probe } from '../../src/imaging/probe.ts';
import { computeSsim } from '../../src/imaging/quality/metrics.ts';
import { encode } from '../../src/imaging/renditions/encode.ts';
import { pictureFormats } from '../../src/model/picture.ts';
import type { RenditionFormat } from '../../src/model/preset.ts';

const limits = { maxPixels: 100e6, maxAvifPixels: 100e6, maxFrames: 1000, allowedFormats: pictureFormats };

/** Decodes a photograph to the pixels of a rendition. */
export async function decodeAt(bytes: Buffer, side: number): Promise<Raster> {
  const facts = await probe(bytes, limits);
  return toOpaqueRaster(await decodePicture(bytes, facts, fitInside(facts, { width: side, height: side })));
}

/** What encoding a picture costs, and what it yields. */
export interface Measurement {
  readonly bytes: number;
  /** Against the same pixels before encoding. */
  readonly ssim: number;
  /** Processor time of encoding, in milliseconds. */
  readonly cpuMs: number;
}

/** Encodes pixels once and measures the result. */
export async function measure(
  raster: Raster,
  format: RenditionFormat,
  quality: number,
): Promise<Measurement> {
  const start = process.cpuUsage();
  const file = await encode(raster, format, quality);
  const { user, system } = process.cpuUsage(start);
  const decoded = await decodeTo(openPicture(file, format), raster);
  return {
    bytes: file.length,
    ssim: computeSsim(toLuma(raster.data), toLuma(decoded.data), raster),
    cpuMs: (user + system) / 1000,
  };
}

/** Returns the mean of each figure. */
export function meanOf(measurements: readonly Measurement[]): Measurement {
  const mean = (key: keyof Measurement) =>
    measurements.reduce((sum, measurement) => sum + measurement[key], 0) / measurements.length;
  return { bytes: mean('bytes'), ssim: mean('ssim'), cpuMs: mean('cpuMs') };
}
