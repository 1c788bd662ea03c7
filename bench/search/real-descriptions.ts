import type { Description } from '../../src/imaging/recognition/describe-picture.ts';
import { drawPictures } from '../pictures.ts';

/** Side of the drawn pictures: the size at which pictures are described. */
const longSide = 400;

/** Draws product pictures, and computes their fingerprints and embeddings. */
export async function describeSamples(count: number): Promise<Description[]> {
  const jpegs = await drawPictures(count, longSide);
  // Loaded now, because the decoder disables the format of the drawings in this process.
  const { describePicture } = await import('../../src/imaging/recognition/describe-picture.ts');
  const limits = {
    maxPixels: 10 ** 7,
    maxAvifPixels: 10 ** 7,
    maxFrames: 1,
    allowedFormats: ['jpeg'],
  } as const;
  const descriptions: Description[] = [];
  for (const jpeg of jpegs) descriptions.push(await describePicture(jpeg, limits));
  return descriptions;
}
