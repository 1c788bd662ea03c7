import type { Sharp } from 'sharp';
import type { RenditionFormat } from '../../model/preset.ts';
import { fromRaster, type Raster } from '../decoding/pixels.ts';
import type { KeptMetadata } from '../metadata/kept-metadata.ts';
import { writeXmp } from '../metadata/xmp.ts';

// `npm run bench:formats` measures these settings, and docs/adr/0040-encoder-settings.md explains them.

/** Timing of an animation. */
export interface Timing {
  /** Duration of each frame, in milliseconds. */
  readonly delay: number[];
  /** Loop count; 0 for an endless loop. */
  readonly loop: number;
}

/** How to encode a picture. */
interface EncoderOptions {
  readonly quality: number;
  /** Whether the picture has few pixels. */
  readonly isSmall?: boolean;
  readonly timing?: Timing;
}

type Encoder = (image: Sharp, options: EncoderOptions) => Sharp;

/** How each format is encoded. The same pixels, quality and metadata yield the same bytes. */
const encoders: Readonly<Record<RenditionFormat, Encoder>> = {
  // Optimised Huffman tables would save 2 % of the bytes and double the time.
  jpeg: (image, { quality }) => image.jpeg({ quality, optimiseCoding: false }),
  webp: (image, { quality, isSmall = false, timing }) =>
    image.webp({
      quality,
      effort: isSmall || timing ? fastWebpEffort : webpEffort,
      alphaQuality: 100,
      ...timing,
    }),
  avif: (image, { quality }) =>
    image.avif({ quality, effort: avifEffort, chromaSubsampling: avifChroma, bitdepth: 8 }),
  png: (image) => image.png({ compressionLevel: 7, adaptiveFiltering: true }),
};

/** Up to this number of pixels, as for a card in a list of products, WebP is encoded with less effort. */
const maxFastPixels = 640 * 640;
const [fastWebpEffort, webpEffort] = [2, 4];
const avifEffort = 2;
const avifChroma = '4:2:0';

/** Encodes pixels. Without metadata, the file contains only pixels. */
export async function encode(
  raster: Raster,
  format: RenditionFormat,
  quality: number,
  metadata?: KeptMetadata,
): Promise<Buffer> {
  const pixels = raster.width * raster.height;
  return encodeImage(fromRaster(raster), format, { quality, isSmall: pixels <= maxFastPixels }, metadata);
}

/** Encodes the frames of an animation, given as a pipeline of the image library, as WebP. */
export async function encodeAnimation(
  frames: Sharp,
  quality: number,
  timing: Timing,
  metadata?: KeptMetadata,
): Promise<Buffer> {
  return encodeImage(frames, 'webp', { quality, timing }, metadata);
}

async function encodeImage(
  image: Sharp,
  format: RenditionFormat,
  options: EncoderOptions,
  metadata: KeptMetadata | undefined,
): Promise<Buffer> {
  const encoded = encoders[format](image, options);
  return (metadata === undefined ? encoded : addMetadata(encoded, metadata)).toBuffer();
}

function addMetadata(image: Sharp, metadata: KeptMetadata): Sharp {
  const withXmp = image.withXmp(writeXmp(metadata));
  const { copyright, creators } = metadata;
  const entries = [
    ['Copyright', copyright ?? ''],
    ['Artist', creators.join('; ')],
  ] as const;
  const tags = Object.fromEntries(
    entries.flatMap(([tag, text]) => (isExifText(text) ? [[tag, toExifText(text)]] : [])),
  );
  return Object.keys(tags).length === 0 ? withXmp : withXmp.withExif({ IFD0: tags });
}

/** EXIF allows only ASCII. The image library transliterates Latin letters, such as ö; others would become question marks. */
function isExifText(text: string): boolean {
  return /^[\x20-\x7e\u00a0-\u024f]+$/u.test(text);
}

/** The image library removes an annotation in brackets at the end of a value, because it prints values with one. */
function toExifText(text: string): string {
  return text.endsWith(')') ? `${text} ()` : text;
}
