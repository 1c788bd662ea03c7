import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeChooseFormats } from '../../../src/http/delivery/accepted-formats.ts';
import { renditionFormats } from '../../../src/model/preset.ts';

const chooseFormats = makeChooseFormats();
const chrome = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';

test.each([
  [chrome, 'avif,webp,jpeg,png'],
  ['image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5', 'avif,webp,png,jpeg'],
  ['image/webp,*/*;q=0.8', 'webp,jpeg,png'],
  ['image/jpeg,image/png', 'jpeg,png'],
  ['image/png', 'png'],
  ['*/*', 'jpeg,png'],
  ['image/*', 'jpeg,png'],
  ['', 'jpeg,png'],
  [' ', 'jpeg,png'],
  [undefined, 'jpeg,png'],
  ['image/avif;q=0,image/webp;q=0,*/*', 'jpeg,png'],
  ['image/webp;q=0.5,image/avif;q=0.2,*/*;q=0.1', 'webp,avif,jpeg,png'],
  ['*/*, image/webp;q=0.5', 'jpeg,png,webp'],
  ['*/*;q=0.5, image/jpeg;q=0, image/webp;q=1.000', 'webp,png'],
  ['IMAGE/AVIF ; Q=0.9 , image/jpg', 'jpeg,avif'],
  ['image/avif;level=1;q=0.3, image/webp; q=0.4', 'webp,avif'],
  ['image/webp;q=often, image/jpeg', 'jpeg'],
])('of all formats, Accept: %s chooses %s', (accept, formats) => {
  expect(chooseFormats(accept, renditionFormats).join()).toBe(formats);
  // The result is remembered.
  expect(chooseFormats(accept, renditionFormats).join()).toBe(formats);
});

test('chooses only formats of the preset, and what every client reads if none of them is accepted', () => {
  expect(chooseFormats(chrome, ['jpeg', 'webp'])).toEqual(['webp', 'jpeg']);
  expect(chooseFormats('*/*', ['webp', 'png', 'avif'])).toEqual(['png']);
  expect(chooseFormats('image/webp', ['avif', 'png', 'jpeg'])).toEqual(['jpeg', 'png']);
  expect(chooseFormats('text/html', ['jpeg', 'webp'])).toEqual(['jpeg']);
  expect(chooseFormats('image/jpeg', ['avif', 'webp'])).toEqual(['avif', 'webp']);
});

test('chooses a format of the preset for every header', () => {
  const part = fc.oneof(
    fc.constantFrom('image/avif', 'image/webp', 'image/jpeg', 'image/*', '*/*', ';q=0', ';q=0.5', ';q', ','),
    fc.string({ maxLength: 6 }),
  );
  const available = fc.uniqueArray(fc.constantFrom(...renditionFormats), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), available, (parts, formats) => {
      const chosen = chooseFormats(parts.join(''), formats);
      expect(chosen.length).toBeGreaterThan(0);
      for (const format of chosen) expect(formats).toContain(format);
      expect(new Set(chosen).size).toBe(chosen.length);
    }),
  );
});
