import sharp from 'sharp';

const side = 320;
const cells = 24;

/** Draws pictures of at most 20 kB. All of them differ in their pixels, so that none is a near-duplicate of another. */
export async function drawSmallPictures(count: number, random: () => number): Promise<Buffer[]> {
  const pictures: Buffer[] = [];
  while (pictures.length < count) {
    const batch = Math.min(8, count - pictures.length);
    pictures.push(...(await Promise.all(Array.from({ length: batch }, () => drawSmallPicture(random)))));
  }
  return pictures;
}

async function drawSmallPicture(random: () => number): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: cells * cells * 3 }, () => 40 + Math.floor(random() * 176));
  const jpeg = await sharp(pixels, { raw: { width: cells, height: cells, channels: 3 } })
    .resize(side, side, { kernel: 'cubic' })
    .jpeg({ quality: 85 })
    .toBuffer();
  if (jpeg.length > 20_000) throw new Error(`A picture has ${jpeg.length} bytes instead of at most 20,000.`);
  return jpeg;
}

/** Returns a seeded random number generator (mulberry32), so that every run sends the same load. */
export function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
