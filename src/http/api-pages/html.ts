/** Escaped HTML. */
export interface Html {
  readonly html: string;
}

type Value = Html | string | number | undefined | false | readonly Html[];

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A template tag that escapes interpolated text but not interpolated HTML. */
export function html(texts: TemplateStringsArray, ...values: Value[]): Html {
  return { html: texts.map((text, index) => text + toHtml(values[index])).join('') };
}

function toHtml(value: Value): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'object')
    return 'html' in value ? value.html : value.map((item) => item.html).join('');
  return escapeText(String(value));
}

/** Converts text to HTML. Text in backticks becomes code. */
export function renderText(text: string): Html {
  const parts = text.split('`').map((part, index) => {
    const escaped = escapeText(part);
    return index % 2 === 1 ? `<code>${escaped}</code>` : escaped;
  });
  return { html: parts.join('') };
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}
