import { expect, test } from 'vitest';
import { sharp } from '../../../src/imaging/decoding/native-library.ts';

test.each([
  ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'],
  ['PDF', '%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj'],
  ['a portable pixmap', 'P3 1 1 255 0 0 0'],
])('does not load %s', async (_name, content) => {
  await expect(sharp(Buffer.from(content)).metadata()).rejects.toThrow('unsupported image format');
});

test('does not open files by path', async () => {
  await expect(sharp(import.meta.filename).metadata()).rejects.toThrow('unsupported image format');
});
