import { decodeText } from './text.ts';

/** Rights in an IPTC-IIM block. */
export interface IptcRights {
  readonly creators: readonly string[];
  readonly credit?: string;
  readonly copyright?: string;
}

/** Data sets of record 2 (IPTC-IIM 4.2). */
const [byLine, credit, copyrightNotice] = [80, 110, 116];

const resourceSignature = '8BIM';
const iptcResourceId = 0x0404;
const photoshopPrefix = 'Photoshop 3.0\0';
const dataSetMarker = 0x1c;
/** The length field of a data set that is longer has a second form, which no program uses for text. */
const maxDataSetLength = 0x7fff;

/** Reads creators, credit line and copyright notice from IPTC-IIM, either on its own or in Photoshop's resources. */
export function readIptcRights(block: Uint8Array): IptcRights {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const records = findRecords(bytes);
  const creators: string[] = [];
  const rights: { credit?: string; copyright?: string } = {};
  let offset = 0;
  while (offset + 5 <= records.length && records[offset] === dataSetMarker) {
    const [record, dataSet] = [records[offset + 1], records[offset + 2]];
    const length = records.readUInt16BE(offset + 3);
    if (length > maxDataSetLength) break;
    const start = offset + 5;
    offset = start + length;
    if (record !== 2) continue;
    const text = decodeText(records.subarray(start, offset));
    if (dataSet === byLine) creators.push(text);
    else if (dataSet === credit) rights.credit ??= text;
    else if (dataSet === copyrightNotice) rights.copyright ??= text;
  }
  return { creators, ...rights };
}

/** Returns the IIM records in a block. Photoshop's resources have a signature, an id, a padded name and a length. */
function findRecords(bytes: Buffer): Buffer {
  const hasPrefix = bytes.toString('latin1', 0, photoshopPrefix.length) === photoshopPrefix;
  let offset = hasPrefix ? photoshopPrefix.length : 0;
  while (offset + 12 <= bytes.length && bytes.toString('latin1', offset, offset + 4) === resourceSignature) {
    const id = bytes.readUInt16BE(offset + 4);
    const nameLength = (bytes[offset + 6] ?? 0) + 1;
    const lengthOffset = offset + 6 + nameLength + (nameLength % 2);
    if (lengthOffset + 4 > bytes.length) break;
    const length = bytes.readUInt32BE(lengthOffset);
    const start = lengthOffset + 4;
    if (id === iptcResourceId) return bytes.subarray(start, start + length);
    offset = start + length + (length % 2);
  }
  return bytes.subarray(offset);
}
