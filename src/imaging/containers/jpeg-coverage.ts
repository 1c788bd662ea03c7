import type { JpegFrame, JpegScan } from './jpeg.ts';

/** Which coefficients of which components have been sent, and at what precision. */
export interface Coverage {
  readonly add: (scan: JpegScan) => void;
  readonly hasBegun: () => boolean;
  readonly isFull: () => boolean;
  /** Which coefficients of a component's blocks are nonzero: two 32-bit words for each block. */
  readonly nonZero: (index: number, blocks: number) => Uint32Array;
}

/** The coverage of a frame before its first scan. */
export function makeCoverage({ process, components }: JpegFrame): Coverage {
  const isProgressive = process === 2;
  // Lowest bit position sent so far for each coefficient; 255: not sent.
  const positions = components.map(() => new Uint8Array(64).fill(255));
  const words: Uint32Array[] = [];
  return {
    add(scan) {
      const range = isProgressive ? [scan.from, scan.to + 1] : [0, 64];
      for (const { index } of scan.components) positions[index]?.fill(isProgressive ? scan.low : 0, ...range);
    },
    hasBegun: () => positions.every(([dc]) => dc !== 255),
    isFull: () => positions.every((sent) => sent.every((position) => position === 0)),
    nonZero: (index, blocks) => (words[index] ??= new Uint32Array(blocks * 2)),
  };
}
