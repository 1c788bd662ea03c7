/** Maximum length of a file name, in code points. */
const maxLength = 255;

/** Matches an extension, including its dot. */
const extensionPattern = /\.[\p{L}\p{N}]{1,16}$/u;

/**
 * Characters to remove: control characters, line breaks, bidirectional control characters (which can disguise the
 * extension), byte order marks, and lone surrogates.
 */
const invisible = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/**
 * Cleans a file name so that it can be stored and displayed. Removes invisible characters, replaces U+FFFD (bytes lost
 * in an earlier conversion), and truncates the name to 255 characters, before the extension and between graphemes.
 */
export function cleanFilename(name: string): string {
  const visible = name.replaceAll(invisible, '').replaceAll('\uFFFD', '_').trim();
  return truncate(visible) || 'unnamed';
}

function truncate(name: string): string {
  if (name.length <= maxLength || countCharacters(name) <= maxLength) return name;
  const extension = extensionPattern.exec(name)?.[0] ?? '';
  const stemLength = maxLength - countCharacters(extension);
  const stem = name.slice(0, name.length - extension.length);
  return (takeGraphemes(stem, stemLength) || Array.from(stem).slice(0, stemLength).join('')) + extension;
}

/** Truncates `text` to whole graphemes of at most `length` characters in total. Returns '' if the first is longer. */
function takeGraphemes(text: string, length: number): string {
  let end = 0;
  let remaining = length;
  // Segmenting only this part saves time. A surrogate pair that is split at the end would not fit anyway.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, 2 * length + 2))) {
    remaining -= countCharacters(segment);
    if (remaining < 0) break;
    end += segment.length;
  }
  return text.slice(0, end);
}

function countCharacters(text: string): number {
  return Array.from(text).length;
}
