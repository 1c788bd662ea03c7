import {
  type HuffmanTable,
  isFrameMarker,
  type JpegFrame,
  jpegMarkers,
  type JpegScan,
  nextJpegSegment,
  readHuffmanTables,
  readJpegFrame,
  readJpegScan,
} from './jpeg.ts';
import {
  makeDcRefinementReader,
  type BlockReader,
  makeFirstAcReader,
  makeFirstDcReader,
  makeAcRefinementReader,
  makeSequentialReader,
} from './jpeg-blocks.ts';
import { type EntropyReader, makeEntropyReader, makeHuffmanDecoder } from './jpeg-entropy.ts';

/** Result of checking a JPEG's data. */
export type JpegScansResult =
  /** All pixels are present. The data ends at `end`, where an end marker belongs. */
  | { readonly kind: 'complete'; readonly end: number; readonly frame: JpegFrame }
  /** The data ends before the last pixel. */
  | { readonly kind: 'truncated' }
  /** `problem` completes a sentence that begins with "its data". */
  | { readonly kind: 'corrupt'; readonly problem: string }
  /** The scans were not checked, because this kind of JPEG is not supported. */
  | { readonly kind: 'other'; readonly frame: JpegFrame };

/** Result of reading one scan. */
type ScanOutcome = 'complete' | 'truncated' | 'contradiction';

/** Progressive pictures have about ten scans. A file with far more is probably an attempt to exhaust CPU time. */
const maxScans = 500;

/** Maximum number of pixels. This limits the memory needed to store the state of each block. */
const maxPixels = 2 ** 28;

/**
 * Checks whether the scans of a Huffman-coded JPEG are complete. This is much faster than decoding, because no pixels
 * are computed. The check is meant for files that a decoder has rejected. The end marker does not show whether such a
 * file is complete: it may be missing from a complete file, and it may have been added to a truncated file.
 * Source: ITU-T T.81, annexes F and G.
 */
export function checkJpegScans(bytes: Uint8Array): JpegScansResult {
  const tables = new Map<number, HuffmanTable>();
  let frame: JpegFrame | undefined;
  let coverage: Coverage | undefined;
  let restartInterval = 0;
  let scanCount = 0;
  for (let offset = 2; ; ) {
    const segment = nextJpegSegment(bytes, offset);
    if (segment === undefined || !segment.isComplete) return { kind: 'truncated' };
    const { marker, start } = segment;
    offset = segment.end;
    if (marker === jpegMarkers.eoi) {
      // Some encoders omit the finest details. The file is complete without them.
      if (frame !== undefined && coverage?.hasStarted() === true)
        return { kind: 'complete', end: start - 2, frame };
      return { kind: 'truncated' };
    }
    if (marker === jpegMarkers.dht) readHuffmanTables(bytes, segment, tables);
    else if (marker === jpegMarkers.dri)
      restartInterval = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
    else if (isFrameMarker(marker)) {
      frame = readJpegFrame(bytes, segment);
      if (frame === undefined) return { kind: 'corrupt', problem: 'has a header that contradicts itself' };
      if (frame.width * frame.height > maxPixels)
        return { kind: 'corrupt', problem: 'declares too many pixels' };
      if (frame.process > 2 || frame.precision !== 8 || frame.height === 0) return { kind: 'other', frame };
      coverage = makeCoverage(frame);
    } else if (marker === jpegMarkers.sos) {
      const scan = frame && readJpegScan(bytes, segment, frame);
      if (frame === undefined || coverage === undefined || scan === undefined || scanCount >= maxScans) {
        return { kind: 'corrupt', problem: 'contradicts its header' };
      }
      scanCount++;
      const reader = makeEntropyReader(bytes, offset);
      const outcome = readScan(reader, frame, scan, { tables, restartInterval, coverage });
      offset = reader.offset();
      if (outcome === 'truncated')
        return { kind: isAtEnd(bytes, offset) ? 'truncated' : 'corrupt', problem: 'has a gap' };
      if (outcome === 'contradiction') return { kind: 'corrupt', problem: 'contradicts itself' };
      coverage.add(scan);
      if (coverage.isFull()) return { kind: 'complete', end: offset, frame };
    }
  }
}

/** Returns whether only an end marker, an incomplete segment or nothing at all follows. */
function isAtEnd(bytes: Uint8Array, offset: number): boolean {
  const next = nextJpegSegment(bytes, offset);
  return next === undefined || next.marker === jpegMarkers.eoi || !next.isComplete;
}

interface ScanContext {
  readonly tables: ReadonlyMap<number, HuffmanTable>;
  readonly restartInterval: number;
  readonly coverage: Coverage;
}

function readScan(
  reader: EntropyReader,
  frame: JpegFrame,
  scan: JpegScan,
  { tables, restartInterval, coverage }: ScanContext,
): ScanOutcome {
  const endOfBandRun = { remainingBlocks: 0 };
  const units = countUnits(frame, scan);
  const possibleReaders = scan.components.map((component) => {
    const findDecoder = (id: number) => {
      const table = tables.get(id);
      return table && makeHuffmanDecoder(table);
    };
    const [dc, ac] = [findDecoder(component.dcTable), findDecoder(component.acTable + 16)];
    if (frame.process !== 2) return dc && ac && makeSequentialReader(reader, dc, ac);
    if (scan.firstCoefficient === 0)
      return scan.previousBitPosition > 0
        ? makeDcRefinementReader(reader)
        : dc && makeFirstDcReader(reader, dc);
    if (ac === undefined || scan.lastCoefficient > 63 || scan.lastCoefficient < scan.firstCoefficient)
      return undefined;
    const nonZeroBits = coverage.nonZeroBits(component.index, units.count);
    return (scan.previousBitPosition > 0 ? makeAcRefinementReader : makeFirstAcReader)(reader, ac, {
      scan,
      endOfBandRun,
      nonZeroBits,
    });
  });
  const readers: BlockReader[] = possibleReaders.filter((reader) => reader !== undefined);
  if (readers.length < scan.components.length) return 'contradiction';
  for (let unit = 0; unit < units.count; unit++) {
    if (restartInterval > 0 && unit > 0 && unit % restartInterval === 0) {
      endOfBandRun.remainingBlocks = 0;
      const outcome = reader.skipRestartMarker((unit / restartInterval - 1) % 8);
      if (outcome !== 'skipped') return outcome === 'truncated' ? 'truncated' : 'contradiction';
    }
    for (let index = 0; index < readers.length; index++) {
      for (let n = units.blocksPerComponent[index] ?? 1; n > 0; n--) {
        const isConsistent = readers[index]?.(unit) ?? false;
        // Bits beyond the end are read as 0, which may look inconsistent.
        if (reader.hasOverrun()) return 'truncated';
        if (!isConsistent) return 'contradiction';
      }
    }
  }
  return 'complete';
}

/**
 * Returns the number of units (MCUs) in a scan, and the number of blocks per component in a unit. In a scan of a single
 * component, each unit is one block, and there are no padding blocks at the edges.
 */
function countUnits(
  { width, height, components }: JpegFrame,
  scan: JpegScan,
): { readonly count: number; readonly blocksPerComponent: readonly number[] } {
  const horizontal = Math.max(...components.map((component) => component.horizontal));
  const vertical = Math.max(...components.map((component) => component.vertical));
  const scannedComponents = scan.components.flatMap(({ index }) => components[index] ?? []);
  const [singleComponent] = scannedComponents;
  if (singleComponent !== undefined && scannedComponents.length === 1) {
    const columns = Math.ceil(Math.ceil((width * singleComponent.horizontal) / horizontal) / 8);
    const rows = Math.ceil(Math.ceil((height * singleComponent.vertical) / vertical) / 8);
    return { count: columns * rows, blocksPerComponent: [1] };
  }
  return {
    count: Math.ceil(width / (8 * horizontal)) * Math.ceil(height / (8 * vertical)),
    blocksPerComponent: scannedComponents.map((component) => component.horizontal * component.vertical),
  };
}

/** Tracks which coefficients of each component have been read so far, and at what precision. */
interface Coverage {
  readonly add: (scan: JpegScan) => void;
  readonly hasStarted: () => boolean;
  readonly isFull: () => boolean;
  /** Returns one bit per coefficient of a component (two 32-bit words per block), set if the coefficient is nonzero. */
  readonly nonZeroBits: (index: number, blockCount: number) => Uint32Array;
}

/** Returns the empty coverage of a frame before its first scan. */
function makeCoverage({ process, components }: JpegFrame): Coverage {
  const isProgressive = process === 2;
  // The lowest bit position read so far for each coefficient; 255 if none has been read.
  const positions = components.map(() => new Uint8Array(64).fill(255));
  const nonZeroWords: Uint32Array[] = [];
  return {
    add(scan) {
      const range = isProgressive ? [scan.firstCoefficient, scan.lastCoefficient + 1] : [0, 64];
      for (const { index } of scan.components)
        positions[index]?.fill(isProgressive ? scan.bitPosition : 0, ...range);
    },
    hasStarted: () => positions.every(([dc]) => dc !== 255),
    isFull: () => positions.every((coefficients) => coefficients.every((position) => position === 0)),
    nonZeroBits: (index, blockCount) => (nonZeroWords[index] ??= new Uint32Array(blockCount * 2)),
  };
}
