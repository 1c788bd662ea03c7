import {
  readTiff,
  type TiffDirectory,
  readTiffNumber,
  readTiffNumbers,
  type TiffStructure,
  tiffTags,
} from '../containers/tiff.ts';
import { selectTiffPage } from '../containers/tiff-pages.ts';
import { corrupt, truncated, type Diagnosis, unreadable, unsupported, type Verdict } from './verdict.ts';

/** Compressions that this build of the image library supports. */
const supportedCompressions = new Set([1, 2, 3, 4, 5, 7, 8, 32_766, 32_771, 32_773, 32_809, 32_946, 50_001]);

/** Names of other compressions, from libtiff, Adobe and Aperio documentation. */
const compressionNames: Readonly<Record<number, string>> = {
  6: 'old-style JPEG',
  9: 'JBIG',
  10: 'JBIG',
  32_908: 'Pixar film',
  32_909: 'Pixar log',
  33_003: 'JPEG 2000',
  33_004: 'JPEG 2000',
  33_005: 'JPEG 2000',
  34_661: 'JBIG',
  34_676: 'SGI LogLuv',
  34_677: 'SGI LogLuv',
  34_712: 'JPEG 2000',
  34_887: 'LERC',
  34_892: 'DNG lossy JPEG',
  34_925: 'LZMA',
  34_933: 'PNG',
  34_934: 'JPEG XR',
  50_000: 'Zstandard',
  50_002: 'JPEG XL',
  52_546: 'JPEG XL',
};

/** Maximum number of strips or tiles to check. No picture within the limits has more. */
const maxStrips = 1_048_576;

/** Determines why a TIFF was rejected: it is truncated, it is corrupt, or its compression is not supported. */
export function diagnoseTiff(bytes: Uint8Array): Diagnosis {
  const file = readTiff(bytes);
  if (file === undefined) return diagnoseDirectory(bytes);
  const { directory, size } = selectTiffPage(file);
  const hasPixels =
    directory.entries.has(tiffTags.stripOffsets) || directory.entries.has(tiffTags.tileOffsets);
  if (directory.isComplete && (size === undefined || !hasPixels)) {
    return unreadable('its directory does not describe an image');
  }
  return (
    checkCompression(file, directory) ??
    checkTruncation(file, directory) ??
    corrupt('its pixels cannot be decoded')
  );
}

/** Returns the verdict on a page with an unsupported compression; `undefined` for other pages. */
export function checkCompression(file: TiffStructure, directory: TiffDirectory): Verdict | undefined {
  const compression = readTiffNumber(file, directory, tiffTags.compression) ?? 1;
  if (supportedCompressions.has(compression)) return undefined;
  const name = compressionNames[compression];
  const label = name === undefined ? `number ${compression}` : `${name} (${compression})`;
  return unsupported(`its compression, ${label}, is not supported`);
}

/** Diagnoses a missing or invalid directory. Truncation often removes it, because many writers store it at the end. */
function diagnoseDirectory(bytes: Uint8Array): Verdict {
  if (bytes.length < 16) return truncated();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittleEndian = view.getUint16(0) === 0x4949;
  const isBig = view.getUint16(2, isLittleEndian) === 43;
  const offset = isBig ? Number(view.getBigUint64(8, isLittleEndian)) : view.getUint32(4, isLittleEndian);
  return offset + 2 > bytes.length ? truncated('the file ends before its directory') : unreadable();
}

function checkTruncation(file: TiffStructure, directory: TiffDirectory): Verdict | undefined {
  if (!directory.isComplete) return truncated('the file ends inside its directory');
  const isTiled = directory.entries.has(tiffTags.tileOffsets);
  const tags = isTiled
    ? ([tiffTags.tileOffsets, tiffTags.tileByteCounts] as const)
    : ([tiffTags.stripOffsets, tiffTags.stripByteCounts] as const);
  const [offsets, lengths] = tags.map((tag) => readTiffNumbers(file, directory, tag, maxStrips));
  const declaredCount = directory.entries.get(tags[0])?.count ?? 0;
  if (offsets === undefined || lengths === undefined) return undefined;
  const isTruncated =
    offsets.length < Math.min(declaredCount, maxStrips) ||
    offsets.some((offset, n) => offset + (lengths[n] ?? 0) > file.bytes.length);
  return isTruncated ? truncated('the file ends before its last pixels') : undefined;
}
