/** Escaped HTML. */
export interface Html {
  readonly html: string;
}

type Part = Html | string | number | undefined | false | readonly Html[];

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Template tag: escapes interpolated text, but not interpolated HTML. */
export function html(texts: TemplateStringsArray, ...parts: Part[]): Html {
  return { html: texts.map((text, index) => text + write(parts[index])).join('') };
}

function write(part: Part): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'object') return 'html' in part ? part.html : part.map((item) => item.html).join('');
  return escapeText(String(part));
}

/** Converts text with code in backticks to HTML. */
export function prose(text: string): Html {
  const parts = text.split('`').map((part, index) => {
    const escaped = escapeText(part);
    return index % 2 === 1 ? `<code>${escaped}</code>` : escaped;
  });
  return { html: parts.join('') };
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}
