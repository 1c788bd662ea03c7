/** Longest name, in characters (code points). */
const longest = 255;

/** The part after the last dot, if it looks like an extension. */
const extensionForm = /\.[\p{L}\p{N}]{1,16}$/u;

/**
 * Characters that are removed or replaced: control characters and line breaks, bidirectional control characters (which
 * can disguise the extension), byte order marks, and lone surrogates. U+FFFD stands for bytes that were lost in an
 * earlier conversion.
 */
const invisible = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/**
 * A file name as stored and shown: without invisible characters, and cut to 255 characters before its extension, never
 * within a grapheme.
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

/** The beginning of `text` with at most `room` characters. Empty if the first grapheme alone has more. */
function wholeGraphemes(text: string, room: number): string {
  let end = 0;
  let left = room;
  // Text beyond this would be segmented needlessly; a surrogate split at the end does not fit anyway.
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
