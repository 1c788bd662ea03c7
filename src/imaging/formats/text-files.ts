/** Description of an unsupported file. */
export interface UnsupportedFile {
  /** Name with an indefinite article, such as "a PDF document". */
  readonly name: string;
  /** Whether it is a picture in an unsupported format. */
  readonly isPicture: boolean;
}

/** Describes a text file in UTF-8 or (with a byte order mark) UTF-16; returns `undefined` for other files. */
export function describeText(firstBytes: Uint8Array): UnsupportedFile | undefined {
  const text = decodeText(firstBytes)?.trimStart();
  if (text === undefined || text.length < 4) return undefined;
  if (text.startsWith('%PDF-')) return { name: 'a PDF document', isPicture: false };
  if (text.startsWith('%!PS')) return { name: 'a PostScript document', isPicture: false };
  if (text.startsWith('{\\rtf')) return { name: 'an RTF document', isPicture: false };
  return describeMarkup(text) ?? { name: 'a plain text file', isPicture: false };
}

/** Returns whether the start of a file is text. */
export function isText(firstBytes: Uint8Array): boolean {
  return decodeText(firstBytes) !== undefined;
}

/** Everything before the first element: declarations, comments and processing instructions. */
const prologue = /^(?:\s+|<\?[^]*?\?>|<!--[^]*?-->|<!doctype(?:[^<>[]|\[[^\]]*\])*>)+/i;

/** Describes a file by its first element only. An HTML page, for example, may also contain SVG elements. */
function describeMarkup(text: string): UnsupportedFile | undefined {
  if (!text.startsWith('<')) return undefined;
  const prologueText = prologue.exec(text)?.[0] ?? '';
  const element = /^<(?:\w+:)?([\w-]+)[\s/>]/.exec(text.slice(prologueText.length))?.[1]?.toLowerCase();
  if (element === 'svg') return { name: 'an SVG drawing', isPicture: true };
  if (/<!doctype\s+html/i.test(prologueText) || isHtmlElement(element)) {
    return { name: 'an HTML page', isPicture: false };
  }
  // If the given bytes end inside the prologue, no element was found.
  if (/^<!doctype\s+svg/i.test(text) || /<!doctype\s+svg/i.test(prologueText)) {
    return { name: 'an SVG drawing', isPicture: true };
  }
  return /^<\?xml/i.test(text) ? { name: 'an XML document', isPicture: false } : undefined;
}

function isHtmlElement(element: string | undefined): boolean {
  return element !== undefined && /^(html|head|body|script|title|meta|style|div|p|h1|table)$/.test(element);
}

/** Decodes the start of a text file; `undefined` if the file is not text. The last character may be incomplete. */
function decodeText(firstBytes: Uint8Array): string | undefined {
  const encoding = detectEncoding(firstBytes);
  if (encoding === 'utf-8' && firstBytes.some((byte) => byte < 9)) return undefined;
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(firstBytes, { stream: true });
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

function detectEncoding([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}
