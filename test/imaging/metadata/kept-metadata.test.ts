import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { readExifRights } from '../../../src/imaging/metadata/exif.ts';
import { readIptcRights } from '../../../src/imaging/metadata/iptc.ts';
import {
  hashMetadata,
  type KeptMetadata,
  readKeptMetadata,
  selectMetadata,
} from '../../../src/imaging/metadata/kept-metadata.ts';
import { readXmpRights, writeXmp } from '../../../src/imaging/metadata/xmp.ts';
import { renderVariants } from '../../../src/imaging/renditions/derive-renditions.ts';
import { makePreset, type MetadataKind, metadataKinds, renditionFormats } from '../../../src/model/preset.ts';
import * as fc from 'fast-check';
import { gradientPicture, limits } from '../fixtures/pictures.ts';

const sourceType = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

/** An XMP packet as programs write it, with some properties that must not be copied. */
function xmpPacket(description: string, attributes = ''): string {
  return `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
    <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
      xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:ps="http://ns.adobe.com/photoshop/1.0/"
      xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
      xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" aux:SerialNumber="SN-123456" exif:GPSLatitude="48,12.5N"
      ${attributes}>${description}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`;
}

const fullPacket = xmpPacket(
  `<dc:rights><rdf:Alt><rdf:li xml:lang="de">Alle Rechte</rdf:li>
   <rdf:li xml:lang="x-default">© Example &amp; Sons, 2026</rdf:li></rdf:Alt></dc:rights>
   <dc:creator><rdf:Seq><rdf:li>Ada Muster</rdf:li><rdf:li>Bo &lt;Li&gt;</rdf:li></rdf:Seq></dc:creator>
   <ps:Credit>Example Studio</ps:Credit><dc:description><rdf:Alt><rdf:li>secret note</rdf:li></rdf:Alt></dc:description>
   <!-- </dc:rights> -->`,
  `Iptc4xmpExt:DigitalSourceType="${sourceType}"`,
);
const fullMetadata: KeptMetadata = {
  creators: ['Ada Muster', 'Bo <Li>'],
  credit: 'Example Studio',
  copyright: '© Example & Sons, 2026',
  digitalSourceType: sourceType,
};

/** Tags of an original, including some that must not be copied. */
const exifTags = {
  IFD0: { Copyright: 'Example Studio 2026', Artist: 'Ada Muster', Model: 'SN-123456' },
  IFD2: { BodySerialNumber: 'SN-123456' },
  IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '48/1 12/1 30/1' },
};
const secrets = /SN-123456|GPSLatitude|48,12|secret note/;

function dataSet(record: number, number: number, text: string | Buffer): Buffer {
  const data = Buffer.from(text);
  const header = Buffer.of(0x1c, record, number, 0, 0);
  header.writeUInt16BE(data.length, 3);
  return Buffer.concat([header, data]);
}

/** Wraps IPTC records like Photoshop, after another resource with an odd length. */
function photoshopResources(records: Buffer): Buffer {
  const resource = (id: number, data: Buffer) => {
    const header = Buffer.alloc(12);
    header.write('8BIM', 'latin1');
    header.writeUInt16BE(id, 4);
    header.writeUInt32BE(data.length, 8);
    return Buffer.concat([header, data, Buffer.alloc(data.length % 2)]);
  };
  return Buffer.concat([
    Buffer.from('Photoshop 3.0\0', 'latin1'),
    resource(0x03ed, Buffer.from('odd')),
    resource(0x0404, records),
  ]);
}

describe('reads', () => {
  test.each(['jpeg', 'png', 'webp', 'tiff', 'avif'] as const)('XMP and EXIF of a %s', async (format) => {
    const bytes = await gradientPicture(64, 48)
      .withXmp(fullPacket)
      .withExif(exifTags)
      .toFormat(format)
      .toBuffer();
    expect(await readKeptMetadata(bytes, format)).toEqual(fullMetadata);
  });

  test('EXIF in either byte order', () => {
    for (const isLittleEndian of [true, false]) {
      const block = Buffer.alloc(80);
      const write16 = (value: number, offset: number) =>
        isLittleEndian ? block.writeUInt16LE(value, offset) : block.writeUInt16BE(value, offset);
      const write32 = (value: number, offset: number) =>
        isLittleEndian ? block.writeUInt32LE(value, offset) : block.writeUInt32BE(value, offset);
      block.write(isLittleEndian ? 'II' : 'MM', 'latin1');
      write16(42, 2);
      write32(8, 4);
      write16(2, 8);
      for (const [n, [tag, length, offset]] of [
        [0x013b, 4, undefined],
        [0x8298, 12, 50],
      ].entries() as Iterable<[number, [number, number, number | undefined]]>) {
        write16(tag, 10 + n * 12);
        write16(2, 12 + n * 12);
        write32(length, 14 + n * 12);
        if (offset !== undefined) write32(offset, 18 + n * 12);
      }
      block.write('Ada\0', 18, 'latin1');
      block.write('Ada\0Example\0', 50, 'latin1');
      expect(readExifRights(block)).toEqual({ artist: 'Ada', copyright: 'Ada; Example' });
      expect(readExifRights(Buffer.concat([Buffer.from('Exif\0\0'), block]))).toHaveProperty('artist', 'Ada');
    }
  });

  test('IPTC-IIM in Photoshop resources and on its own, in UTF-8 and in Windows-1252', () => {
    const records = Buffer.concat([
      dataSet(1, 90, '\x1b%G'),
      dataSet(2, 80, 'Zoë'),
      dataSet(2, 80, 'Bo'),
      dataSet(2, 90, 'Vienna'),
      dataSet(2, 110, 'Example Studio'),
      dataSet(2, 116, Buffer.from('\xa9 Example', 'latin1')),
    ]);
    const expected = { creators: ['Zoë', 'Bo'], credit: 'Example Studio', copyright: '© Example' };
    expect(readIptcRights(photoshopResources(records))).toEqual(expected);
    expect(readIptcRights(records)).toEqual(expected);
  });

  test('XMP properties as attributes, resources and plain text', () => {
    const attributes = xmpPacket('', `dc:rights='Example "A"' Iptc4xmpExt:DigitalSourceType="${sourceType}"`);
    expect(readXmpRights(Buffer.from(attributes))).toMatchObject({
      copyright: 'Example "A"',
      digitalSourceType: sourceType,
    });
    const resource = xmpPacket(
      `<Iptc4xmpExt:DigitalSourceType rdf:resource="${sourceType}"/><dc:rights>A</dc:rights>`,
    );
    expect(readXmpRights(Buffer.from(resource))).toMatchObject({
      copyright: 'A',
      digitalSourceType: sourceType,
    });
  });

  test('nothing from properties of other namespaces', () => {
    const packet = xmpPacket('', 'xmlns:other="http://example.com/" other:rights="A"').replaceAll(
      'http://purl.org/dc/elements/1.1/',
      'http://example.com/dc/',
    );
    expect(readXmpRights(Buffer.from(packet))).toEqual({ creators: [] });
  });
});

describe('ignores', () => {
  test.each([
    ['another kind of source type', 'https://example.com/?id=SN-123456'],
    ['a source type that is too long', 'a'.repeat(65)],
  ])('%s', async (_, value) => {
    const bytes = await gradientPicture(64, 48)
      .withXmp(xmpPacket('', `Iptc4xmpExt:DigitalSourceType="${value}"`))
      .jpeg()
      .toBuffer();
    expect(await readKeptMetadata(bytes, 'jpeg')).toEqual({ creators: [] });
  });

  test('damaged blocks', () => {
    const mutation = fc.record({ position: fc.nat(2000), byte: fc.nat(255), length: fc.nat(2000) });
    const iptc = photoshopResources(Buffer.concat([dataSet(2, 80, 'Ada'), dataSet(2, 116, 'Example')]));
    fc.assert(
      fc.property(mutation, ({ position, byte, length }) => {
        for (const original of [Buffer.from(fullPacket), iptc]) {
          const damaged = Buffer.from(original.subarray(0, length));
          if (damaged.length > 0) damaged[position % damaged.length] = byte;
          readXmpRights(damaged);
          readIptcRights(damaged);
        }
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readExifRights(Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), bytes]));
        readXmpRights(bytes);
        readIptcRights(bytes);
      }),
    );
  });

  test('packets that would take long to search', () => {
    const hostile = [
      '<!--'.repeat(250_000),
      ' xmlns:dc="http://purl.org/dc/elements/1.1/"<dc:rights '.repeat(20_000),
      xmpPacket(`<dc:creator>${'<rdf:li '.repeat(120_000)}</dc:creator>`),
      Array.from({ length: 20_000 }, (_, n) => ` xmlns:p${n}="http://purl.org/dc/elements/1.1/"`).join(''),
    ];
    const start = performance.now();
    for (const packet of hostile) readXmpRights(Buffer.from(packet));
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('a damaged EXIF block of an original', async () => {
    const bytes = await gradientPicture(64, 48).withExif(exifTags).jpeg().toBuffer();
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, bytes.indexOf('Exif') + 10, bytes.indexOf('Exif') + 30);
    expect(await readKeptMetadata(damaged, 'jpeg')).toMatchObject({ creators: [] });
    const preset = makePreset({ name: 'card', width: 40, height: 40 });
    const rendered = await renderVariants(damaged, limits, [{ preset, format: 'webp', density: 1 }], null);
    expect(rendered.renditions).toHaveLength(1);
  });
});

test('shortens and cleans texts', async () => {
  const long = `a\n\tb\u0007 ${'x'.repeat(900)}`;
  const bytes = await gradientPicture(64, 48)
    .withXmp(xmpPacket(`<dc:rights>${long}</dc:rights>`))
    .jpeg()
    .toBuffer();
  const { copyright = '' } = await readKeptMetadata(bytes, 'jpeg');
  expect(copyright).toHaveLength(500);
  expect(copyright.startsWith('a b x')).toBe(true);
});

test('writes XMP that it reads again, whatever the texts contain', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 3 }), (copyright, creators) => {
      const rights = readXmpRights(
        Buffer.from(writeXmp({ creators, copyright, digitalSourceType: sourceType })),
      );
      expect(rights).toEqual({ creators, copyright, digitalSourceType: sourceType });
    }),
  );
});

test('selects kinds of metadata', () => {
  expect(selectMetadata(fullMetadata, metadataKinds)).toEqual(fullMetadata);
  expect(selectMetadata(fullMetadata, ['copyright'])).toEqual({
    creators: [],
    copyright: fullMetadata.copyright,
  });
  expect(selectMetadata(fullMetadata, ['ai'])).toEqual({ creators: [], digitalSourceType: sourceType });
  expect(selectMetadata(fullMetadata, [])).toBeUndefined();
  expect(selectMetadata({ creators: [], copyright: 'A' }, ['credit', 'ai'])).toBeUndefined();
});

test('hashes all metadata that renditions may keep', () => {
  expect(hashMetadata({ creators: [] })).toBe('');
  expect(hashMetadata(fullMetadata)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashMetadata(fullMetadata)).not.toBe(hashMetadata({ ...fullMetadata, credit: undefined }));
  expect(hashMetadata({ creators: ['A'] })).not.toBe(hashMetadata({ creators: [], credit: 'A' }));
});

describe.each(renditionFormats)('a rendition in %s', (format) => {
  async function render(original: Buffer, keepMetadata: readonly MetadataKind[] = metadataKinds) {
    const preset = makePreset({ name: 'card', width: 40, height: 40, keepMetadata });
    const { renditions } = await renderVariants(original, limits, [{ preset, format, density: 1 }], null);
    return renditions[0]!.data;
  }

  test('keeps author, rights and origin, and nothing else', async () => {
    const original = await gradientPicture(64, 48)
      .withXmp(fullPacket)
      .withExif(exifTags)
      .withIccProfile('p3')
      .jpeg()
      .toBuffer();
    expect(original.toString('latin1')).toMatch(secrets);
    const file = await render(original);
    expect(await readKeptMetadata(file, format)).toEqual(fullMetadata);
    expect(file.toString('latin1')).not.toMatch(secrets);
    const { exif, xmp, icc, iptc } = await sharp(file).metadata();
    expect(exif!.includes(Buffer.of(0x88, 0x25))).toBe(false);
    expect(exif!.includes(Buffer.of(0x25, 0x88))).toBe(false);
    expect(readExifRights(exif!)).toEqual({
      artist: 'Ada Muster; Bo <Li>',
      copyright: '(C) Example & Sons, 2026',
    });
    expect(xmp!.toString()).toContain('trainedAlgorithmicMedia');
    expect([icc, iptc]).toEqual([undefined, undefined]);
  });

  test('keeps a text that ASCII cannot represent in XMP only', async () => {
    const original = await gradientPicture(64, 48)
      .withXmp(xmpPacket('<dc:rights>例 Example</dc:rights><dc:creator>Zoë</dc:creator>'))
      .jpeg()
      .toBuffer();
    const file = await render(original);
    expect(await readKeptMetadata(file, format)).toMatchObject({
      copyright: '例 Example',
      creators: ['Zoë'],
    });
    const { exif } = await sharp(file).metadata();
    expect(readExifRights(exif!)).toEqual({ artist: 'Zoe' });
  });

  test('keeps a text that ends with brackets in EXIF', async () => {
    const original = await gradientPicture(64, 48)
      .withXmp(xmpPacket('<dc:rights>Example (Studio)</dc:rights>'))
      .jpeg()
      .toBuffer();
    const { exif } = await sharp(await render(original)).metadata();
    expect(readExifRights(exif!)).toEqual({ copyright: 'Example (Studio)' });
  });

  test('has no metadata if the original has none, or if none is to be kept', async () => {
    const plain = await gradientPicture(64, 48).jpeg().toBuffer();
    const tagged = await gradientPicture(64, 48).withXmp(fullPacket).withExif(exifTags).jpeg().toBuffer();
    for (const file of [await render(plain), await render(tagged, [])]) {
      const { exif, xmp, iptc } = await sharp(file).metadata();
      expect([exif, xmp, iptc]).toEqual([undefined, undefined, undefined]);
    }
  });
});
