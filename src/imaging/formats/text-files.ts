/** Description of an unsupported file. */
export interface UnsupportedFile {
  /** With its article: "a PDF document". */
  readonly name: string;
  /** Whether it is a picture in an unsupported format. */
  readonly isPicture: boolean;
}

/** Names a text file in UTF-8 or (with a byte order mark) UTF-16; `undefined` for other files. */
export function nameOfText(head: Uint8Array): UnsupportedFile | undefined {
  const text = decodedText(head)?.trimStart();
  if (text === undefined || text.length < 4) return undefined;
  if (text.startsWith('%PDF-')) return { name: 'a PDF document', isPicture: false };
  if (text.startsWith('%!PS')) return { name: 'a PostScript document', isPicture: false };
  if (text.startsWith('{\\rtf')) return { name: 'an RTF document', isPicture: false };
  return nameOfMarkup(text) ?? { name: 'a plain text file', isPicture: false };
}

/** Returns whether the start of a file is text. */
export function isText(head: Uint8Array): boolean {
  return decodedText(head) !== undefined;
}

/** Everything before the first element: declarations, comments and processing instructions. */
const prologue = /^(?:\s+|<\?[^]*?\?>|<!--[^]*?-->|<!doctype(?:[^<>[]|\[[^\]]*\])*>)+/i;

/** Only the first element counts: pages contain drawings, and text mentions elements. */
function nameOfMarkup(text: string): UnsupportedFile | undefined {
  if (!text.startsWith('<')) return undefined;
  const before = prologue.exec(text)?.[0] ?? '';
  const element = /^<(?:\w+:)?([\w-]+)[\s/>]/.exec(text.slice(before.length))?.[1]?.toLowerCase();
  if (element === 'svg') return { name: 'an SVG drawing', isPicture: true };
  if (/<!doctype\s+html/i.test(before) || isHtmlElement(element)) {
    return { name: 'an HTML page', isPicture: false };
  }
  // If the prologue is longer than the head, there is no element.
  if (/^<!doctype\s+svg/i.test(text) || /<!doctype\s+svg/i.test(before)) {
    return { name: 'an SVG drawing', isPicture: true };
  }
  return /^<\?xml/i.test(text) ? { name: 'an XML document', isPicture: false } : undefined;
}

function isHtmlElement(element: string | undefined): boolean {
  return element !== undefined && /^(html|head|body|script|title|meta|style|div|p|h1|table)$/.test(element);
}

/** Decodes the start of a text file, whose last character may be truncated; `undefined` if it is not text. */
function decodedText(head: Uint8Array): string | undefined {
  const encoding = encodingOf(head);
  if (encoding === 'utf-8' && head.some((byte) => byte < 9)) return undefined;
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true });
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

function encodingOf([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}
