/** In characters (code points). */
const maxLength = 255;

/** An extension with its dot. */
const extensionForm = /\.[\p{L}\p{N}]{1,16}$/u;

/**
 * Characters to remove: control characters, line breaks, bidirectional control characters (which can disguise the
 * extension), byte order marks, and lone surrogates.
 */
const invisible = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/**
 * Cleans a file name for storing and displaying it. Removes invisible characters, replaces U+FFFD (bytes lost in an earlier
 * conversion), and cuts it to 255 characters: before the extension, and never within a grapheme.
 */
export function cleanFilename(name: string): string {
  const visible = name.replaceAll(invisible, '').replaceAll('\uFFFD', '_').trim();
  return cut(visible) || 'unnamed';
}

function cut(name: string): string {
  if (name.length <= maxLength || countCharacters(name) <= maxLength) return name;
  const extension = extensionForm.exec(name)?.[0] ?? '';
  const room = maxLength - countCharacters(extension);
  const stem = name.slice(0, name.length - extension.length);
  return (wholeGraphemes(stem, room) || Array.from(stem).slice(0, room).join('')) + extension;
}

/** Cuts `text` after a whole grapheme to at most `room` characters. Returns '' if the first grapheme is longer. */
function wholeGraphemes(text: string, room: number): string {
  let end = 0;
  let left = room;
  // Segmenting only this part saves time. A surrogate pair that is split at its end does not fit anyway.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, 2 * room + 2))) {
    left -= countCharacters(segment);
    if (left < 0) break;
    end += segment.length;
  }
  return text.slice(0, end);
}

function countCharacters(text: string): number {
  return Array.from(text).length;
}
