/** What a file that Vitrine does not take in looks like, with its article: "a PDF document". */
export interface ForeignFile {
  readonly name: string;
  /** Whether it is a picture at all, in a format that is not taken in. */
  readonly isPicture: boolean;
}

const picturesByExtension: Readonly<Record<string, string>> = {
  heic: 'an HEIC picture',
  heif: 'an HEIF picture',
  jp2: 'a JPEG 2000 picture',
  j2c: 'a JPEG 2000 picture',
  jpx: 'a JPEG 2000 picture',
  jpm: 'a JPEG 2000 picture',
  jxl: 'a JPEG XL picture',
  jxr: 'a JPEG XR picture',
  ico: 'a Windows icon',
  cur: 'a Windows cursor',
  icns: 'an Apple icon',
  psd: 'a Photoshop document',
  ai: 'an Illustrator document',
  eps: 'a PostScript drawing',
  xcf: 'a GIMP picture',
  dng: 'a camera raw picture',
  cr2: 'a camera raw picture',
  cr3: 'a camera raw picture',
  nef: 'a camera raw picture',
  arw: 'a camera raw picture',
  orf: 'a camera raw picture',
  raf: 'a camera raw picture',
  rw2: 'a camera raw picture',
  ktx: 'a texture file',
};

const othersByExtension: Readonly<Record<string, string>> = {
  pdf: 'a PDF document',
  zip: 'a ZIP archive',
  gz: 'a compressed file',
  xml: 'an XML document',
  ps: 'a PostScript document',
};

interface Magic {
  /** First bytes of such a file, one character for each byte. */
  readonly bytes: string;
  readonly at?: number;
  readonly name: string;
}

const picturesByMagic: readonly Magic[] = [
  { bytes: 'DDS ', name: 'a DDS texture' },
  { bytes: '\x76\x2f\x31\x01', name: 'an OpenEXR picture' },
  { bytes: '#?RADIANCE', name: 'a Radiance HDR picture' },
  { bytes: '#?RGBE', name: 'a Radiance HDR picture' },
  { bytes: 'SIMPLE  =', name: 'a FITS picture' },
  { bytes: 'P4', name: 'a portable bitmap (PBM)' },
  { bytes: 'P5', name: 'a portable greymap (PGM)' },
  { bytes: 'P6', name: 'a portable pixmap (PPM)' },
  { bytes: 'BLP1', name: 'a BLP texture' },
  { bytes: 'BLP2', name: 'a BLP texture' },
  { bytes: '\x01\xda', name: 'an SGI picture' },
  { bytes: '\xd7\xcd\xc6\x9a', name: 'a Windows metafile' },
  { bytes: ' EMF', at: 40, name: 'a Windows metafile' },
  { bytes: '\x0a\x05\x01\x08', name: 'a PCX picture' },
];

/** Names a file of a format that is not taken in; `extension` is what the detection library made of it, if anything. */
export function nameOfForeignFile(head: Uint8Array, extension: string | undefined): ForeignFile {
  const picture = picturesByExtension[extension ?? ''];
  if (picture !== undefined) return { name: picture, isPicture: true };
  if (extension !== undefined && extension !== 'xml') {
    return { name: othersByExtension[extension] ?? `a file of type .${extension}`, isPicture: false };
  }
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1');
  const magic = picturesByMagic.find((entry) => bytes.startsWith(entry.bytes, entry.at ?? 0));
  if (magic !== undefined) return { name: magic.name, isPicture: true };
  return markupOrText(head) ?? { name: 'no kind of picture that is known here', isPicture: false };
}

function markupOrText(head: Uint8Array): ForeignFile | undefined {
  const text = decodedText(head);
  if (text === undefined) return undefined;
  if (/<svg[\s>]/i.test(text)) return { name: 'an SVG drawing', isPicture: true };
  if (/<(!doctype html|html|head|body|script)[\s>]/i.test(text)) {
    return { name: 'an HTML page', isPicture: false };
  }
  if (text.trimStart().startsWith('<?xml')) return { name: 'an XML document', isPicture: false };
  return text.length >= 4 ? { name: 'a plain text file', isPicture: false } : undefined;
}

/** The head as UTF-8 text (its last character may be cut), or `undefined` where it is no text. */
function decodedText(head: Uint8Array): string | undefined {
  if (head.some((byte) => byte < 9)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
  } catch {
    return undefined;
  }
}
