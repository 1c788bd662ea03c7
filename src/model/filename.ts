/** Longest name, in characters (code points). */
const longest = 255;

/** What follows the last dot, when it looks like an extension. */
const extensionForm = /\.[\p{L}\p{N}]{1,16}$/u;

/**
 * Characters that are no part of what a reader sees: control characters and line breaks, marks that turn the direction of
 * what follows (a name may then look as if it ended in another extension), byte order marks, and halves of characters.
 * U+FFFD stands for bytes that somebody could not decode before.
 */
const invisible = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/**
 * The name of a file as it is stored and shown: without invisible characters, and cut to 255 characters before its
 * extension, never within a character that a reader sees as one.
 */
export function cleanFilename(name: string): string {
  const visible = name.replaceAll(invisible, '').replaceAll('\uFFFD', '_').trim();
  return cut(visible) || 'unnamed';
}

function cut(name: string): string {
  if (name.length <= longest || countCharacters(name) <= longest) return name;
  const extension = extensionForm.exec(name)?.[0] ?? '';
  const room = longest - countCharacters(extension);
  const stem = name.slice(0, name.length - extension.length);
  return (wholeGraphemes(stem, room) || Array.from(stem).slice(0, room).join('')) + extension;
}

/** The beginning of `text` with at most `room` characters. Empty when the first grapheme alone has more. */
function wholeGraphemes(text: string, room: number): string {
  let end = 0;
  let left = room;
  // What is beyond would only be segmented for nothing; half a character at its end does not fit anyway.
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
