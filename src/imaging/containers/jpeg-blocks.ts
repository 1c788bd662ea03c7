import type { JpegScan } from './jpeg.ts';
import type { EntropyReader, HuffmanDecoder } from './jpeg-entropy.ts';

/** Reads past the data of one block. Returns `false` if the data is inconsistent. */
export type BlockReader = (block: number) => boolean;

/** Returns a reader for the blocks of a sequential scan. Each block contains all of its coefficients. */
export function makeSequentialReader(
  reader: EntropyReader,
  dc: HuffmanDecoder,
  ac: HuffmanDecoder,
): BlockReader {
  return () => {
    const size = reader.readSymbol(dc);
    if (size < 0 || size > 15) return false;
    reader.readBits(size);
    for (let k = 1; k < 64; k++) {
      const symbol = reader.readSymbol(ac);
      if (symbol < 0) return false;
      const bits = symbol & 15;
      const zeros = symbol >> 4;
      if (bits === 0 && zeros < 15) return true;
      k += zeros;
      if (k > 63) return false;
      reader.readBits(bits);
    }
    return true;
  };
}

/** Returns a reader for the first DC scan of a progressive picture. */
export function makeFirstDcReader(reader: EntropyReader, dc: HuffmanDecoder): BlockReader {
  return () => {
    const size = reader.readSymbol(dc);
    if (size < 0 || size > 15) return false;
    reader.readBits(size);
    return true;
  };
}

/** Returns a reader for a scan that refines DC coefficients: one bit per block. */
export function makeDcRefinementReader(reader: EntropyReader): BlockReader {
  return () => {
    reader.readBits(1);
    return true;
  };
}

/** Parameters and state of a reader for a progressive AC scan. */
export interface AcScan {
  readonly scan: JpegScan;
  /** How many further blocks the last end-of-band code covers. The caller resets this to 0 at restart markers. */
  readonly endOfBandRun: { remainingBlocks: number };
  /** One bit per coefficient (two 32-bit words per block), set if the coefficient is nonzero after earlier scans. */
  readonly nonZeroBits: Uint32Array;
}

/** Returns a reader for the first scan of a band of AC coefficients. */
export function makeFirstAcReader(
  reader: EntropyReader,
  ac: HuffmanDecoder,
  { scan, endOfBandRun, nonZeroBits }: AcScan,
): BlockReader {
  return (block) => {
    if (endOfBandRun.remainingBlocks > 0) {
      endOfBandRun.remainingBlocks--;
      return true;
    }
    for (let k = scan.firstCoefficient; k <= scan.lastCoefficient; k++) {
      const symbol = reader.readSymbol(ac);
      if (symbol < 0) return false;
      const bits = symbol & 15;
      const zeros = symbol >> 4;
      if (bits === 0 && zeros < 15) {
        endOfBandRun.remainingBlocks = 2 ** zeros + reader.readBits(zeros) - 1;
        return true;
      }
      k += zeros;
      if (k > 63) return false;
      reader.readBits(bits);
      if (bits > 0) markNonZero(nonZeroBits, block, k);
    }
    return true;
  };
}

/** Returns a reader for a scan that adds one bit of precision to a band of AC coefficients. */
export function makeAcRefinementReader(
  reader: EntropyReader,
  ac: HuffmanDecoder,
  { scan, endOfBandRun, nonZeroBits }: AcScan,
): BlockReader {
  /**
   * Skips `zeros` coefficients that are still 0, and one bit for each nonzero coefficient between them. Returns the
   * next position.
   */
  function skipZeros(block: number, from: number, zeros: number): number {
    let remainingZeros = zeros;
    let k = from;
    for (; k <= scan.lastCoefficient; k++) {
      if (isNonZero(nonZeroBits, block, k)) reader.readBits(1);
      else if (remainingZeros-- === 0) break;
    }
    return k;
  }

  return (block) => {
    let k = scan.firstCoefficient;
    while (endOfBandRun.remainingBlocks === 0 && k <= scan.lastCoefficient) {
      const symbol = reader.readSymbol(ac);
      if (symbol < 0) return false;
      const bits = symbol & 15;
      const zeros = symbol >> 4;
      if (bits === 0 && zeros < 15) {
        endOfBandRun.remainingBlocks = 2 ** zeros + reader.readBits(zeros);
        break;
      }
      if (bits > 1) return false;
      reader.readBits(bits);
      k = skipZeros(block, k, zeros);
      if (bits > 0 && k <= scan.lastCoefficient) markNonZero(nonZeroBits, block, k);
      k++;
    }
    if (endOfBandRun.remainingBlocks > 0) {
      skipZeros(block, k, 64);
      endOfBandRun.remainingBlocks--;
    }
    return true;
  };
}

function markNonZero(nonZeroBits: Uint32Array, block: number, k: number): void {
  const word = block * 2 + (k >> 5);
  nonZeroBits[word] = (nonZeroBits[word] ?? 0) | (1 << (k & 31));
}

function isNonZero(nonZeroBits: Uint32Array, block: number, k: number): boolean {
  return ((nonZeroBits[block * 2 + (k >> 5)] ?? 0) & (1 << (k & 31))) !== 0;
}
