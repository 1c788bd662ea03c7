import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeLeniently, decodeText } from '../../../src/http/text/charset.ts';

const windows1252Bytes = [0x4b, 0xfc, 0x63, 0x68, 0x65];

test.each([
  [windows1252Bytes, 'windows-1252', 'Küche'],
  [windows1252Bytes, 'ISO-8859-1', 'Küche'],
  [[0x80, 0x39, 0x39], 'cp1252', '€99'],
  [Buffer.from('Küche'), undefined, 'Küche'],
  [Buffer.from('\uFEFFKüche'), 'windows-1252', 'Küche'],
  [Buffer.from('\uFEFFKüche', 'utf16le'), undefined, 'Küche'],
  [Buffer.from('\uFEFFKüche', 'utf16le').swap16(), 'utf-8', 'Küche'],
  [Buffer.from('Küche', 'utf16le'), 'utf-16le', 'Küche'],
  [[0x83, 0x4a], 'shift_jis', 'カ'],
])('decodes %j in the charset %s as %s', (bytes, charset, text) => {
  expect(decodeText(Uint8Array.from(bytes), charset)).toEqual({ text });
});

test.each([
  [windows1252Bytes, undefined, 'is not valid UTF-8 (byte 2 is 0xFC)'],
  [[0x61, 0xe2, 0x82], undefined, 'is not valid UTF-8 (byte 2 is 0xE2)'],
  [[0xc3, 0xbc, 0xc0, 0x80], 'utf8', 'is not valid UTF-8 (byte 3 is 0xC0)'],
  [[0x61, 0xed, 0xa0, 0x80], undefined, 'is not valid UTF-8 (byte 2 is 0xED)'],
  [[0xff, 0xfe, 0x61], undefined, 'is not valid utf-16le'],
  [
    windows1252Bytes,
    'cp850',
    'has the charset "cp850", which is not supported; use UTF-8, windows-1252 or utf-16le, for example',
  ],
])('does not decode %j in the charset %s', (bytes, charset, problem) => {
  expect(decodeText(Uint8Array.from(bytes), charset)).toEqual({ problem });
});

test('reports the position of the first byte that is not valid UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (before, after) => {
      const prefix = Buffer.from(before);
      const result = decodeText(Buffer.concat([prefix, Buffer.of(0xff), Buffer.from(after)]));
      expect(result).toEqual({ problem: `is not valid UTF-8 (byte ${prefix.length + 1} is 0xFF)` });
    }),
  );
});

test('replaces undecodable bytes in lenient mode', () => {
  expect(decodeLeniently(Uint8Array.from(windows1252Bytes))).toEqual({
    text: 'K\uFFFDche',
    problem: 'is not valid UTF-8 (byte 2 is 0xFC)',
  });
  expect(decodeLeniently(Uint8Array.from(windows1252Bytes), 'latin1')).toEqual({
    text: 'Küche',
    problem: undefined,
  });
  expect(decodeLeniently(Uint8Array.from(windows1252Bytes), 'cp850').text).toBe('K\uFFFDche');
});
