import { constants, crc32, inflateSync } from 'node:zlib';
import { isPng, type PngChunk, pngChunks, type PngHeader, readPng } from '../containers/png.ts';
import { corrupt, cut, type Finding, unreadable, unsupported, type Verdict } from './verdict.ts';

/** Checksums of all that pixels depend on come first: a damaged length makes a whole file look cut. */
export function findInPng(bytes: Uint8Array): Finding {
  if (!isPng(bytes)) return unreadable();
  const data: Uint8Array[] = [];
  let isEnded = false;
  for (const chunk of pngChunks(bytes)) {
    const damage = damageOf(bytes, chunk);
    if (damage !== undefined) return damage;
    if (chunk.type === 'CgBI')
      return unsupported('this variant, which Apple optimises for its phones, is not supported');
    if (chunk.type === 'IDAT') data.push(bytes.subarray(chunk.start, chunk.start + chunk.length));
    isEnded = chunk.type === 'IEND';
    if (isEnded) break;
  }
  const header = readPng(bytes)?.header;
  if (header === undefined) return isEnded ? unreadable() : cut();
  const wanted = bytesOfPixels(header);
  if (wanted === undefined) return corrupt('its header is not valid');
  // The library reads interlaced pixels as a whole: without the end of their data it gives none.
  const isReadable = isEnded || !header.isInterlaced;
  if (isReadable && inflatedLength(data, wanted) >= wanted) return 'complete';
  return isEnded ? corrupt('its compressed pixels are damaged') : cut();
}

function damageOf(bytes: Uint8Array, { type, start, length, isWhole }: PngChunk): Verdict | undefined {
  if (!/^[A-Za-z]{4}$/.test(type)) return corrupt('its structure is damaged');
  // Small letters begin the names of chunks that pixels do not depend on.
  if (!isWhole || /^[a-z]/.test(type)) return undefined;
  const end = start + length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isSound = crc32(bytes.subarray(start - 4, end)) === view.getUint32(end);
  return isSound ? undefined : corrupt(`the checksum of its ${type} chunk does not match`);
}

const channelsOfType: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Adam7: where each pass begins, and its steps. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Bytes of the filtered rows; `undefined` where the header contradicts itself. */
function bytesOfPixels({ width, height, bitDepth, colorType, isInterlaced }: PngHeader): number | undefined {
  const bits = (channelsOfType[colorType] ?? 0) * bitDepth;
  if (bits === 0 || width === 0 || height === 0) return undefined;
  const rows = (columns: number, lines: number) =>
    columns === 0 ? 0 : lines * (1 + Math.ceil((columns * bits) / 8));
  if (!isInterlaced) return rows(width, height);
  return passes.reduce((sum, [x, y, right, down]) => {
    const columns = Math.max(0, Math.ceil((width - x) / right));
    return sum + rows(columns, Math.max(0, Math.ceil((height - y) / down)));
  }, 0);
}

/** Length of what the data gives before it ends or contradicts itself, up to `wanted`. */
function inflatedLength(data: readonly Uint8Array[], wanted: number): number {
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: wanted + 65_536 };
    return inflateSync(Buffer.concat(data), options).length;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? wanted : 0;
  }
}
