import sharp from 'sharp';
import { readBoxes, readIsobmff } from '../../../src/imaging/containers/isobmff.ts';
import { uint32 } from './write-png.ts';

/** The pixels (8-bit RGB and optional alpha) and properties of an AVIF. */
export interface AvifInput {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  readonly alpha?: Uint8Array;
  readonly isPremultiplied?: boolean;
  /** Primaries, transfer and matrix of the `nclx` box. The matrix of lossless frames is 0. */
  readonly nclx?: readonly [primaries: number, transfer: number, matrix: number];
  readonly profile?: Uint8Array;
  readonly bitdepth?: 8 | 10;
}

/** Writes an AVIF. The image library encodes the frames, and this function writes the container. */
export async function writeAvif(input: AvifInput): Promise<Buffer> {
  const { width, height, rgb, alpha, nclx = [1, 13, 0], profile, bitdepth = 8 } = input;
  const options = { lossless: true, chromaSubsampling: '4:4:4', effort: 0, bitdepth } as const;
  const colourItem = readCodedItem(
    await sharp(rgb, { raw: { width, height, channels: 3 } })
      .avif(options)
      .toBuffer(),
  );
  const alphaItem =
    alpha &&
    readCodedItem(
      await sharp(alpha, { raw: { width, height, channels: 1 } })
        .toColourspace('b-w')
        .avif(options)
        .toBuffer(),
    );
  const properties = [
    box('ispe', uint32(0, width, height)),
    colourItem.configuration,
    box('colr', Buffer.from('nclx'), Buffer.of(...nclx.flatMap((code) => [0, code]), 0x80)),
    ...(profile ? [box('colr', Buffer.from('prof'), profile)] : []),
  ];
  const alphaIndex = properties.length + 1;
  if (alphaItem)
    properties.push(
      alphaItem.configuration,
      box('auxC', uint32(0), Buffer.from('urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0')),
    );
  const associations = [
    [1, ...properties.slice(0, alphaIndex - 1).map((_, n) => n + 1)],
    ...(alphaItem ? [[2, 1, alphaIndex, alphaIndex + 1]] : []),
  ];
  const items = [colourItem, ...(alphaItem ? [alphaItem] : [])];
  const meta = (dataOffset: number) =>
    box(
      'meta',
      uint32(0),
      box('hdlr', uint32(0, 0), Buffer.from('pict'), Buffer.alloc(13)),
      box('pitm', uint32(0), Buffer.of(0, 1)),
      box(
        'iloc',
        uint32(0),
        Buffer.of(0x44, 0, 0, items.length),
        ...items.map(({ data }, n) =>
          Buffer.concat([
            Buffer.of(0, n + 1, 0, 0, 0, 1),
            uint32(dataOffset + (n === 0 ? 0 : colourItem.data.length), data.length),
          ]),
        ),
      ),
      box(
        'iinf',
        uint32(0),
        Buffer.of(0, items.length),
        ...items.map((_, n) =>
          box('infe', uint32(0x02000000), Buffer.of(0, n + 1, 0, 0), Buffer.from('av01\0')),
        ),
      ),
      ...(alphaItem
        ? [
            box(
              'iref',
              uint32(0),
              box('auxl', Buffer.of(0, 2, 0, 1, 0, 1)),
              ...(input.isPremultiplied === true ? [box('prem', Buffer.of(0, 1, 0, 1, 0, 2))] : []),
            ),
          ]
        : []),
      box(
        'iprp',
        box('ipco', ...properties),
        box(
          'ipma',
          uint32(0, associations.length),
          ...associations.map(([id = 0, ...propertyIndices]) =>
            Buffer.of(0, id, propertyIndices.length, ...propertyIndices),
          ),
        ),
      ),
    );
  const fileType = box('ftyp', Buffer.from('avif'), uint32(0), Buffer.from('avifmif1miaf'));
  const dataOffset = fileType.length + meta(0).length + 8;
  return Buffer.concat([fileType, meta(dataOffset), box('mdat', ...items.map(({ data }) => data))]);
}

/** Returns the configuration box and the data of the primary item that the library encoded. */
function readCodedItem(avif: Buffer): { configuration: Buffer; data: Buffer } {
  const file = readIsobmff(avif);
  const configuration = file?.items
    .get(file.primaryItemId ?? 0)
    ?.properties.find(({ type }) => type === 'av1C');
  const data = file && readBoxes(avif, 0, avif.length).find(({ type }) => type === 'mdat');
  if (configuration === undefined || data === undefined) throw new Error('The library wrote no AVIF.');
  return {
    configuration: avif.subarray(configuration.start - 8, configuration.end),
    data: avif.subarray(data.start, data.end),
  };
}

function box(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), ...parts]);
  return Buffer.concat([uint32(body.length + 4), body]);
}
