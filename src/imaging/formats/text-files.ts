/** Description of an unsupported file, with its article: "a PDF document". */
export interface ForeignFile {
  readonly name: string;
  /** Whether it is a picture, in a format that is not accepted. */
  readonly isPicture: boolean;
}

/** Names a file that is text, in UTF-8 or (with a byte order mark) UTF-16; `undefined` for anything else. */
export function nameOfText(head: Uint8Array): ForeignFile | undefined {
  const text = decodedText(head)?.trimStart();
  if (text === undefined || text.length < 4) return undefined;
  if (text.startsWith('%PDF-')) return { name: 'a PDF document', isPicture: false };
  if (text.startsWith('%!PS')) return { name: 'a PostScript document', isPicture: false };
  if (text.startsWith('{\\rtf')) return { name: 'an RTF document', isPicture: false };
  return nameOfMarkup(text) ?? { name: 'a plain text file', isPicture: false };
}

/** Whether the beginning of a file is text. */
export function isText(head: Uint8Array): boolean {
  return decodedText(head) !== undefined;
}

/** Skips everything before the first element: declarations, comments and processing instructions. */
const prologue = /^(?:\s+|<\?[^]*?\?>|<!--[^]*?-->|<!doctype(?:[^<>[]|\[[^\]]*\])*>)+/i;

/** The first element decides: pages contain drawings, and texts mention elements. */
function nameOfMarkup(text: string): ForeignFile | undefined {
  if (!text.startsWith('<')) return undefined;
  const before = prologue.exec(text)?.[0] ?? '';
  const element = /^<(?:\w+:)?([\w-]+)[\s/>]/.exec(text.slice(before.length))?.[1]?.toLowerCase();
  if (element === 'svg') return { name: 'an SVG drawing', isPicture: true };
  if (/<!doctype\s+html/i.test(before) || isHtmlElement(element)) {
    return { name: 'an HTML page', isPicture: false };
  }
  // A prologue that is longer than the head leaves its own words.
  if (/^<!doctype\s+svg/i.test(text) || /<!doctype\s+svg/i.test(before)) {
    return { name: 'an SVG drawing', isPicture: true };
  }
  return /^<\?xml/i.test(text) ? { name: 'an XML document', isPicture: false } : undefined;
}

function isHtmlElement(element: string | undefined): boolean {
  return element !== undefined && /^(html|head|body|script|title|meta|style|div|p|h1|table)$/.test(element);
}

/** The beginning as text (its last character may be cut), or `undefined` if it is not text. */
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
