import { expect, test } from 'vitest';
import {
  formatRenditionName,
  parseRenditionName,
  type RenditionName,
  renditionPath,
} from '../../src/model/rendition-address.ts';

const names: [string, RenditionName][] = [
  ['card', { preset: 'card', density: 1 }],
  ['card@2x', { preset: 'card', density: 2 }],
  ['card.jpg', { preset: 'card', density: 1, format: 'jpeg' }],
  ['a-b_9.webp', { preset: 'a-b_9', density: 1, format: 'webp' }],
  ['card@3x.0123456789.avif', { preset: 'card', density: 3, recipe: '0123456789', format: 'avif' }],
  ['card.0123456789.png', { preset: 'card', density: 1, recipe: '0123456789', format: 'png' }],
];

test.each(names)('%s is the canonical spelling of %j', (text, name) => {
  expect(parseRenditionName(text)).toEqual(name);
  expect(formatRenditionName(name)).toBe(text);
});

test('accepts .jpeg, and density 1', () => {
  expect(parseRenditionName('card@1x.jpeg')).toEqual({ preset: 'card', density: 1, format: 'jpeg' });
});

test.each([
  'card.gif',
  'card.JPG',
  'Card.jpg',
  'card.0123456789',
  'card.012345678.jpg',
  'card.0123456789.0123456789.jpg',
  'card@0x.jpg',
  'card@12x.jpg',
  'card@2.jpg',
  'card@2x@2x.jpg',
  'card.jpg.webp',
  '.jpg',
  '',
  'card jpg',
  `${'x'.repeat(33)}.jpg`,
])('%s is no name of a rendition', (text) => {
  expect(parseRenditionName(text)).toBeUndefined();
});

test('an address has no query', () => {
  expect(renditionPath('01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64', { preset: 'card', density: 2 })).toBe(
    '/i/01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64/card@2x',
  );
});
