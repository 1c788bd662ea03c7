import { describePicture } from '../../src/imaging/recognition/describe-picture.ts';
import { relatePictures } from '../../src/imaging/recognition/relate-pictures.ts';
import { differingBits, type Fingerprint } from '../../src/model/fingerprint.ts';
import { pictureFormats } from '../../src/model/picture.ts';
import type { Relation } from '../../src/model/relation.ts';
import { searchRadius } from '../../src/services/find-near-duplicates.ts';

const limits = {
  allowedFormats: pictureFormats,
  maxPixels: 100_000_000,
  maxAvifPixels: 100_000_000,
  maxFrames: 100,
};

/** Computes the fingerprint of a picture. */
export async function describe(bytes: Buffer): Promise<Fingerprint> {
  return (await describePicture(bytes, limits)).fingerprint;
}

/** Whether the search for one picture would find the other. */
export function isCandidate(asked: Fingerprint, stored: Fingerprint): boolean {
  return [...asked.frameHashes, ...asked.probes].some((probe) =>
    stored.frameHashes.some(
      ({ frame, hash }) => frame === probe.frame && differingBits(hash, probe.hash) <= searchRadius,
    ),
  );
}

/** Compares the pixels of two pictures. */
export async function relate(newer: Buffer, older: Buffer): Promise<Relation | null> {
  const [relation = null] = await relatePictures(newer, limits, [older]);
  return relation;
}
