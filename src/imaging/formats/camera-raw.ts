import {
  type TiffDirectory,
  readTiffNumber,
  type TiffStructure,
  readTiffSubDirectories,
  tiffTags,
} from '../containers/tiff.ts';

/** Photometric interpretations of sensor data: colour filter array (TIFF/EP) and linear raw (DNG). */
const sensorPhotometrics = new Set([32_803, 34_892]);

/** Compression numbers that only camera makers use: Kodak, Sony, Epson, Samsung, Nikon, Pentax and others. */
const cameraCompressions = new Set([262, 32_767, 32_769, 32_770, 32_772, 34_713, 65_000, 65_024, 65_535]);

/** Tags that describe the colour filters of a sensor (TIFF/EP and DNG). */
const colourFilterTags = [33_421, 33_422, 50_710];

/** Maximum number of directories to check in the chain and inside each directory. Raw files have only a few. */
const maxDirectories = 16;

/**
 * Returns whether a TIFF contains sensor data (DNG, NEF, ARW, CR2, PEF, SRW, 3FR, IIQ …). In such a file, a TIFF reader
 * would find only a small preview. Checks the structure instead of the maker's name, because camera makers' software
 * also exports ordinary TIFFs.
 * Sources: TIFF/EP (ISO 12234-2), DNG 1.7, LibRaw's compression table.
 */
export function isCameraRaw(file: TiffStructure): boolean {
  const [first] = file.directories;
  if (first.entries.has(tiffTags.dngVersion) || hasMakerSignature(file.bytes)) return true;
  const chain = file.directories.slice(0, maxDirectories);
  return chain
    .flatMap((directory) => [directory, ...readTiffSubDirectories(file, directory).slice(0, maxDirectories)])
    .some((directory) => isSensorData(file, directory));
}

/** Canon and Phase One write their own signature after the TIFF header. */
function hasMakerSignature(bytes: Uint8Array): boolean {
  const signature = Buffer.from(bytes.subarray(8, 16)).toString('latin1');
  return signature.startsWith('CR\x02\0') || signature.startsWith('IIII') || signature.startsWith('MMMM');
}

function isSensorData(file: TiffStructure, directory: TiffDirectory): boolean {
  const photometric = readTiffNumber(file, directory, tiffTags.photometric) ?? -1;
  const compression = readTiffNumber(file, directory, tiffTags.compression) ?? -1;
  return (
    sensorPhotometrics.has(photometric) ||
    cameraCompressions.has(compression) ||
    colourFilterTags.some((tag) => directory.entries.has(tag))
  );
}
