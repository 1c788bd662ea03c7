import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';

/** Text, or the reason why there is none: a clause that follows the name of the input. */
export type DecodedText = { readonly text: string } | { readonly fault: string };

const utf8 = 'utf-8';

/**
 * Decodes text whose charset may be declared. A byte order mark takes precedence over the declaration; the default is
 * UTF-8. Bytes that are invalid in the charset are an error: replacing them would store a name that no lookup can find.
 */
export function decodeText(bytes: Uint8Array, declared?: string): DecodedText {
  const charset = byteOrderMark(bytes) ?? declared ?? utf8;
  const decoder = makeDecoder(charset, true);
  if (!decoder) return { fault: unknownCharset(charset) };
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { fault: describeFault(bytes, decoder.encoding) };
  }
}

/** Decodes as much as possible. */
export interface LenientText {
  readonly text: string;
  /** Why `text` contains U+FFFD in place of bytes; `undefined` if every byte was decoded. */
  readonly fault: string | undefined;
}

/** The same if valid parts of a text are used although others are not. An unknown charset is decoded as UTF-8. */
export function decodeLeniently(bytes: Uint8Array, declared?: string): LenientText {
  const decoded = decodeText(bytes, declared);
  if ('text' in decoded) return { text: decoded.text, fault: undefined };
  const decoder = makeDecoder(byteOrderMark(bytes) ?? declared ?? utf8, false) ?? new TextDecoder();
  return { text: decoder.decode(bytes), fault: decoded.fault };
}

/** Whether text in this charset can be decoded. */
export function isKnownCharset(label: string): boolean {
  return makeDecoder(label, true) !== undefined;
}

/** The error clause for an unsupported charset. */
export function unknownCharset(label: string): string {
  return `has the charset ${JSON.stringify(label.slice(0, 40))}, which is not known; UTF-8, windows-1252 and utf-16le are, for example`;
}

/** Labels of the WHATWG's Encoding Standard, where latin1 and us-ascii mean windows-1252. */
function makeDecoder(label: string, fatal: boolean): TextDecoder | undefined {
  try {
    return new TextDecoder(label, { fatal });
  } catch {
    return undefined;
  }
}

function byteOrderMark([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return utf8;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return undefined;
}

function describeFault(bytes: Uint8Array, encoding: string): string {
  if (encoding !== utf8) return `is not valid ${encoding}`;
  const at = firstInvalid(bytes);
  const byte = bytes[at]?.toString(16).toUpperCase().padStart(2, '0');
  return `is not valid UTF-8 (byte ${at + 1} is 0x${byte})`;
}

/**
 * Index of the first byte that is not valid UTF-8, by bisection: a prefix is valid except for a truncated last
 * character.
 */
function firstInvalid(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isUtf8(bytes.subarray(0, startOfCharacter(bytes, middle)))) valid = middle;
    else invalid = middle;
  }
  return startOfCharacter(bytes, valid);
}

/** Start of the character that a cut at `end` would split; `end` itself if it splits none. */
function startOfCharacter(bytes: Uint8Array, end: number): number {
  for (let back = 1; back <= 3 && end - back >= 0; back += 1) {
    const byte = bytes[end - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? end - back : end;
  }
  return end;
}
