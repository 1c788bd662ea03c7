/** Longest text that is kept, in UTF-16 code units. IPTC-IIM allows 128 bytes for a copyright notice; XMP has no limit. */
const maxTextLength = 500;

const utf8 = new TextDecoder('utf-8', { fatal: true });
const windows1252 = new TextDecoder('windows-1252');

/** Decodes bytes as UTF-8 or, if they are not UTF-8, as Windows-1252, which many programs write. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return windows1252.decode(bytes);
  }
}

/** Returns a text in one line, without control characters and of limited length; `undefined` if nothing is left. */
export function cleanText(text: string): string | undefined {
  const line = text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cn}\p{Co}\uFFFD\s]+/gu, ' ')
    .trim();
  const shortened = line.length <= maxTextLength ? line : line.slice(0, maxTextLength).toWellFormed();
  // Cutting between two surrogates leaves a replacement character.
  return shortened.replace(/\uFFFD$/, '').trim() || undefined;
}
