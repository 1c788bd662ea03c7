import { isFrameMarker, jpegMarkers, nextJpegSegment } from '../containers/jpeg.ts';

/** Luminance table in zigzag order. Source: ITU-R T.81, table K.1, which libjpeg scales by its quality setting. */
const standardTable = Uint8Array.from(
  `16 11 12 14 12 10 16 14 13 14 18 17 16 19 24 40 26 24 22 22 24 49 35 37 29 40 58 51 61 60 57 51 56 55 64 72 92 78 64 68
   87 69 55 56 80 109 81 87 95 98 103 104 103 62 77 113 121 112 100 120 92 101 103 99`.split(/\s+/),
  Number,
);

const dqtMarker = 0xdb;

/**
 * Estimates the quality of a JPEG from the quantisation table of its first component: the quality from 1 to 100 at which
 * libjpeg's table is closest. Exact for files by libjpeg and its relatives; for other tables, the quality with a similar
 * loss. Returns `undefined` if the file has no such table, as in lossless JPEG.
 */
export function estimateJpegQuality(bytes: Uint8Array): number | undefined {
  const table = findFirstTable(bytes);
  if (!table) return undefined;
  let best = { quality: 1, difference: Number.POSITIVE_INFINITY };
  for (let quality = 1; quality <= 100; quality++) {
    const difference = compareWithStandard(table, quality);
    // Of equally close qualities, the highest counts: at 100, all steps are 1.
    if (difference <= best.difference) best = { quality, difference };
  }
  return best.quality;
}

/** Returns the quantisation table of the first component, in zigzag order. */
function findFirstTable(bytes: Uint8Array): Uint16Array | undefined {
  const tables = new Map<number, Uint16Array>();
  for (let offset = 0; ; ) {
    const segment = nextJpegSegment(bytes, offset);
    if (!segment || segment.marker === jpegMarkers.sos) return undefined;
    const { marker, start, end } = segment;
    if (marker === dqtMarker) readTables(bytes.subarray(start, end), tables);
    // The first component's table may still follow its frame header, but no encoder writes it there.
    if (isFrameMarker(marker)) return tables.get(bytes[start + 8] ?? 0);
    offset = end;
  }
}

function readTables(content: Uint8Array, tables: Map<number, Uint16Array>): void {
  for (let offset = 0; offset < content.length; ) {
    const head = content[offset] ?? 0;
    const bytesPerStep = head >> 4 === 0 ? 1 : 2;
    const end = offset + 1 + 64 * bytesPerStep;
    if (end > content.length) return;
    const start = offset + 1;
    const table = Uint16Array.from({ length: 64 }, (_, index) =>
      bytesPerStep === 1
        ? (content[start + index] ?? 0)
        : ((content[start + 2 * index] ?? 0) << 8) | (content[start + 2 * index + 1] ?? 0),
    );
    tables.set(head & 15, table);
    offset = end;
  }
}

/** Returns how much a table differs from libjpeg's table of a quality. Source of the scale: libjpeg, `jcparam.c`. */
function compareWithStandard(table: Uint16Array, quality: number): number {
  const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  let difference = 0;
  for (let index = 0; index < 64; index++) {
    const step = Math.floor(((standardTable[index] ?? 0) * Math.floor(scale) + 50) / 100);
    difference += Math.abs(Math.max(1, Math.min(255, step)) - (table[index] ?? 0));
  }
  return difference;
}
