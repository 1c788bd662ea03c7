import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cleanFilename } from '../../src/model/filename.ts';

test.each([
  ['vase.jpg', 'vase.jpg'],
  [' Küche № 4 😀.png ', 'Küche № 4 😀.png'],
  ['שלום\u200F.jpg', 'שלום\u200F.jpg'],
  // The override character makes the name appear as "photoexe.jpg".
  ['photo\u202Egpj.exe', 'photogpj.exe'],
  ['\uFEFFa\u2066b\u2069\u2028c\u0000\u0085.jpg', 'abc.jpg'],
  ['K\uFFFDche.jpg', 'K_che.jpg'],
  ['half \ud83d.jpg', 'half .jpg'],
  ['\u202E', 'unnamed'],
  ['', 'unnamed'],
])('cleanFilename(%j) returns %j', (name, cleanName) => {
  expect(cleanFilename(name)).toBe(cleanName);
});

test.each([
  [`${'n'.repeat(300)}.jpg`, `${'n'.repeat(251)}.jpg`],
  [`${'n'.repeat(255)}.jpg`, `${'n'.repeat(251)}.jpg`],
  ['n'.repeat(300), 'n'.repeat(255)],
  [`${'😀'.repeat(251)}.jpg`, `${'😀'.repeat(251)}.jpg`],
  [`${'😀'.repeat(300)}.jpg`, `${'😀'.repeat(251)}.jpg`],
  [`${'n'.repeat(250)}👩‍👩‍👧${'n'.repeat(50)}.jpg`, `${'n'.repeat(250)}.jpg`],
  [`${'n'.repeat(250)}u\u0308${'n'.repeat(50)}.jpg`, `${'n'.repeat(250)}.jpg`],
  [`a${'\u0301'.repeat(300)}.webp`, `a${'\u0301'.repeat(249)}.webp`],
  [`n.${'x'.repeat(300)}`, `n.${'x'.repeat(253)}`],
  [`.${'x'.repeat(300)}`, `.${'x'.repeat(254)}`],
])('truncates a long name without splitting characters, and keeps its extension', (name, cleanName) => {
  expect(cleanFilename(name)).toBe(cleanName);
});

test('returns a well-formed name of at most 255 characters, and is idempotent', () => {
  const fragment = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('😀', 'u\u0308', '.jpg', '\ud83d'),
  );
  const names = fc.array(fragment, { maxLength: 400 }).map((fragments) => fragments.join(''));
  fc.assert(
    fc.property(names, (name) => {
      const cleanName = cleanFilename(name);
      expect(cleanName.isWellFormed()).toBe(true);
      expect(Array.from(cleanName).length).toBeLessThanOrEqual(255);
      expect(cleanName).not.toMatch(/[\p{Cc}\u202A-\u202E\uFFFD]/u);
      expect(cleanFilename(cleanName)).toBe(cleanName);
    }),
    { numRuns: 200 },
  );
});
