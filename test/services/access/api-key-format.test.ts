import { describe, expect, test } from 'vitest';
import { generateApiKey, parseApiKey } from '../../../src/services/access/api-key-format.ts';

test('generates keys that a double click selects and a secret scanner recognises', () => {
  const { id, text } = generateApiKey();
  expect(text).toMatch(/^vitrine_[0-9a-f]{16}_[0-9A-Za-z]{49}$/);
  expect(parseApiKey(text)).toBe(id);
});

test('generates a different key each time', () => {
  expect(new Set(Array.from({ length: 100 }, () => generateApiKey().text)).size).toBe(100);
});

describe('rejects', () => {
  const { text } = generateApiKey();

  test('every key with one changed character', () => {
    for (let index = 0; index < text.length; index += 1) {
      const replacement = text[index] === '7' ? '8' : '7';
      const changedText = text.slice(0, index) + replacement + text.slice(index + 1);
      expect(parseApiKey(changedText), changedText).toBeUndefined();
    }
  });

  test.each([
    ['a truncated key', text.slice(0, -1)],
    ['an extended key', `${text}0`],
    ['a key in upper case', text.toUpperCase()],
    ['a key with spaces', ` ${text}`],
    ['empty text', ''],
  ])('%s', (_, changedText) => {
    expect(parseApiKey(changedText)).toBeUndefined();
  });
});
