import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';

/** Decoded text, or a problem such as "is not valid UTF-8", which completes a sentence about the input. */
export type DecodedText = { readonly text: string } | { readonly problem: string };

const utf8 = 'utf-8';

/**
 * Decodes text whose charset may be declared. A byte order mark takes precedence over the declaration, and the default
 * is UTF-8. Invalid bytes are an error, because replacing them would silently change names.
 */
export function decodeText(bytes: Uint8Array, declaredCharset?: string): DecodedText {
  const charset = detectMarkedCharset(bytes) ?? declaredCharset ?? utf8;
  const decoder = makeDecoder(charset, true);
  if (!decoder) return { problem: describeUnknownCharset(charset) };
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { problem: describeInvalidBytes(bytes, decoder.encoding) };
  }
}

/** Text in which bytes that could not be decoded are replaced with U+FFFD. */
export interface LenientText {
  readonly text: string;
  /** Why `text` contains U+FFFD; `undefined` if every byte was decoded. */
  readonly problem: string | undefined;
}

/** Like `decodeText`, but replaces invalid bytes. An unknown charset is treated as UTF-8. */
export function decodeLeniently(bytes: Uint8Array, declaredCharset?: string): LenientText {
  const decoded = decodeText(bytes, declaredCharset);
  if ('text' in decoded) return { text: decoded.text, problem: undefined };
  const decoder =
    makeDecoder(detectMarkedCharset(bytes) ?? declaredCharset ?? utf8, false) ?? new TextDecoder();
  return { text: decoder.decode(bytes), problem: decoded.problem };
}

/** Whether text in the charset `label` can be decoded. */
export function isKnownCharset(label: string): boolean {
  return makeDecoder(label, true) !== undefined;
}

/** Describes an unsupported charset in words that complete a sentence about the input. */
export function describeUnknownCharset(label: string): string {
  return `has the charset ${JSON.stringify(label.slice(0, 40))}, which is not supported; use UTF-8, windows-1252 or utf-16le, for example`;
}

/**
 * Creates a decoder for a charset. Returns `undefined` for an unknown label. Labels follow the WHATWG Encoding
 * Standard, in which latin1 and us-ascii mean windows-1252.
 */
function makeDecoder(label: string, fatal: boolean): TextDecoder | undefined {
  try {
    return new TextDecoder(label, { fatal });
  } catch {
    return undefined;
  }
}

/** Returns the charset that a byte order mark indicates. */
function detectMarkedCharset([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return utf8;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return undefined;
}

function describeInvalidBytes(bytes: Uint8Array, encoding: string): string {
  if (encoding !== utf8) return `is not valid ${encoding}`;
  const index = findInvalidByte(bytes);
  const byte = bytes[index]?.toString(16).toUpperCase().padStart(2, '0');
  return `is not valid UTF-8 (byte ${index + 1} is 0x${byte})`;
}

/** Returns the index of the first invalid UTF-8 byte, by bisecting prefixes that end at character boundaries. */
function findInvalidByte(bytes: Uint8Array): number {
  let validEnd = 0;
  let invalidEnd = bytes.length;
  while (invalidEnd - validEnd > 1) {
    const middle = (validEnd + invalidEnd) >> 1;
    if (isUtf8(bytes.subarray(0, findCharacterStart(bytes, middle)))) validEnd = middle;
    else invalidEnd = middle;
  }
  return findCharacterStart(bytes, validEnd);
}

/** Returns the start of the character that a prefix of length `end` would split, or `end` if no character is split. */
function findCharacterStart(bytes: Uint8Array, end: number): number {
  for (let distance = 1; distance <= 3 && end - distance >= 0; distance += 1) {
    const byte = bytes[end - distance] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const characterLength = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return characterLength > distance ? end - distance : end;
  }
  return end;
}
