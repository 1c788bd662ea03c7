interface Signature {
  /** Bytes of the signature, one character per byte. */
  readonly bytes: string;
  /** Offset of the signature in the file; 0 by default. */
  readonly offset?: number;
  readonly name: string;
}

/** Name for camera raw files of any format. */
export const cameraRaw = 'a camera raw image';

/** Signatures that are long enough to be conclusive. */
const signatures: readonly Signature[] = [
  { bytes: 'FUJIFILMCCD-RAW', name: cameraRaw },
  { bytes: 'IIU\0', name: cameraRaw },
  { bytes: 'IIRO', name: cameraRaw },
  { bytes: 'IIRS', name: cameraRaw },
  { bytes: 'MMOR', name: cameraRaw },
  { bytes: '\0MRM', name: cameraRaw },
  { bytes: 'FOVb', name: cameraRaw },
  { bytes: 'HEAPCCDR', offset: 6, name: cameraRaw },
  { bytes: 'ftypcrx ', offset: 4, name: cameraRaw },
  { bytes: 'DDS ', name: 'a DDS texture' },
  { bytes: '\x76\x2f\x31\x01', name: 'an OpenEXR image' },
  { bytes: '#?RADIANCE', name: 'a Radiance HDR image' },
  { bytes: '#?RGBE', name: 'a Radiance HDR image' },
  { bytes: 'SIMPLE  =', name: 'a FITS image' },
  { bytes: 'BLP1', name: 'a BLP texture' },
  { bytes: 'BLP2', name: 'a BLP texture' },
  { bytes: '\xd7\xcd\xc6\x9a', name: 'a Windows metafile' },
  { bytes: ' EMF', offset: 40, name: 'a Windows metafile' },
  { bytes: 'gimp xcf ', name: 'a GIMP image' },
  { bytes: '/* XPM */', name: 'an XPM image' },
];

/** Returns the name of a picture format that has a conclusive signature. */
export function namePictureBySignature(firstBytes: Uint8Array): string | undefined {
  const text = toLatin1(firstBytes);
  const signature = signatures.find(({ bytes, offset = 0 }) => text.startsWith(bytes, offset));
  return signature?.name ?? namePortableMap(text) ?? namePostScriptDrawing(text);
}

function namePortableMap(text: string): string | undefined {
  const kind = /^P([1-7])\s(?:\s|#[^\n]*\n)*(?:\d+\s+\d+|WIDTH\s)/.exec(text)?.[1];
  if (kind === undefined) return undefined;
  if (kind === '7') return 'a portable map (PAM)';
  return ['a portable pixmap (PPM)', 'a portable bitmap (PBM)', 'a portable greymap (PGM)'][Number(kind) % 3];
}

function namePostScriptDrawing(text: string): string | undefined {
  return /^%!PS-Adobe-\d\.\d EPSF/.test(text) ? 'a PostScript drawing' : undefined;
}

/**
 * Recognises picture formats that have no conclusive signature. Returns a name only if all header fields are plausible.
 * An uncompressed true-colour TGA starts like a Windows cursor, so cursors are checked first.
 */
export function namePictureByHeader(firstBytes: Uint8Array): string | undefined {
  const view = new DataView(firstBytes.buffer, firstBytes.byteOffset, firstBytes.byteLength);
  return nameWindowsIcon(view) ?? nameTarga(view) ?? namePcx(view) ?? nameSgi(view);
}

/** ICO and CUR files contain a directory of pictures, followed by the picture data. */
function nameWindowsIcon(view: DataView): string | undefined {
  if (view.byteLength < 8 || view.getUint16(0) !== 0) return undefined;
  const kind = view.getUint16(2, true);
  const count = view.getUint16(4, true);
  if ((kind !== 1 && kind !== 2) || count === 0) return undefined;
  if (view.byteLength >= 22) {
    const isEntryValid = view.getUint8(9) === 0 && view.getUint32(14, true) > 0;
    if (!isEntryValid || view.getUint32(18, true) < 6 + 16 * count) return undefined;
  }
  return kind === 1 ? 'a Windows icon' : 'a Windows cursor';
}

const targaTypes = { withColourMap: new Set([1, 9]), withoutColourMap: new Set([2, 3, 10, 11]) };
const targaDepths = new Set([8, 15, 16, 24, 32]);

/** Source: Truevision TGA 2.0, section "The Image File Header". */
function nameTarga(view: DataView): string | undefined {
  if (view.byteLength < 18) return undefined;
  const colourMapType = view.getUint8(1);
  const imageType = view.getUint8(2);
  const alphaBits = view.getUint8(17) & 15;
  const isColourMapValid =
    colourMapType === 1
      ? targaDepths.has(view.getUint8(7)) && view.getUint16(5, true) > 0
      : colourMapType === 0 && view.getUint16(3) === 0 && view.getUint16(5) === 0;
  const isTypeValid =
    (colourMapType === 1 && targaTypes.withColourMap.has(imageType)) ||
    targaTypes.withoutColourMap.has(imageType);
  const hasSize = view.getUint16(12, true) > 0 && view.getUint16(14, true) > 0;
  const isPixelFormatValid = targaDepths.has(view.getUint8(16)) && view.getUint8(17) < 64 && alphaBits <= 8;
  return isColourMapValid && isTypeValid && hasSize && isPixelFormatValid ? 'a TGA image' : undefined;
}

/** PCX files have a header of 128 bytes. Source: ZSoft PCX technical reference. */
function namePcx(view: DataView): string | undefined {
  if (view.byteLength < 128 || view.getUint8(0) !== 10) return undefined;
  const isVersionValid = [0, 2, 3, 4, 5].includes(view.getUint8(1)) && view.getUint8(2) <= 1;
  const isDepthValid = [1, 2, 4, 8].includes(view.getUint8(3)) && [1, 2, 3, 4].includes(view.getUint8(65));
  const readCoordinate = (offset: number) => view.getUint16(offset, true);
  const isWindowValid = readCoordinate(8) >= readCoordinate(4) && readCoordinate(10) >= readCoordinate(6);
  return isVersionValid && isDepthValid && isWindowValid ? 'a PCX image' : undefined;
}

/** SGI headers start with a magic number, the storage format, the bytes per channel and the number of dimensions. */
function nameSgi(view: DataView): string | undefined {
  if (view.byteLength < 12 || view.getUint16(0) !== 0x01da) return undefined;
  const isValid = view.getUint8(2) <= 1 && [1, 2].includes(view.getUint8(3));
  return isValid && [1, 2, 3].includes(view.getUint16(4)) ? 'an SGI image' : undefined;
}

function toLatin1(firstBytes: Uint8Array): string {
  return Buffer.from(firstBytes.buffer, firstBytes.byteOffset, firstBytes.length).toString('latin1');
}
