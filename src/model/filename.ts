/** Maximum length of a file name in characters. A character is a Unicode code point. */
const maxLength = 255;

/** Matches an extension, including its dot. */
const extensionPattern = /\.[\p{L}\p{N}]{1,16}$/u;

/**
 * Matches characters to remove: control characters, line breaks, bidirectional control characters (which can disguise the
 * extension), byte order marks, and lone surrogates.
 */
const invisiblePattern = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/**
 * Cleans a file name so that it can be stored and displayed. Removes invisible characters, replaces U+FFFD (which marks
 * bytes lost in an earlier conversion) with `_`, and truncates the name to 255 characters. Truncation keeps the extension
 * and does not split graphemes.
 */
export function cleanFilename(name: string): string {
  const visibleName = name.replaceAll(invisiblePattern, '').replaceAll('\uFFFD', '_').trim();
  return truncate(visibleName) || 'unnamed';
}

function truncate(name: string): string {
  if (name.length <= maxLength || countCharacters(name) <= maxLength) return name;
  const extension = extensionPattern.exec(name)?.[0] ?? '';
  const stemLength = maxLength - countCharacters(extension);
  const stem = name.slice(0, name.length - extension.length);
  return (takeGraphemes(stem, stemLength) || Array.from(stem).slice(0, stemLength).join('')) + extension;
}

/** Truncates `text` to at most `length` characters, between graphemes. Returns '' if the first grapheme is longer. */
function takeGraphemes(text: string, length: number): string {
  let end = 0;
  let remainingLength = length;
  // Only the start of the text is segmented, to save time. A surrogate pair that is split at the end of that part would
  // not fit anyway.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, 2 * length + 2))) {
    remainingLength -= countCharacters(segment);
    if (remainingLength < 0) break;
    end += segment.length;
  }
  return text.slice(0, end);
}

function countCharacters(text: string): number {
  return Array.from(text).length;
}
