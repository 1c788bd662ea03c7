/** HTML that is safe to write into a page. */
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

/** HTML with values in it; texts among them are escaped. */
export function html(texts: TemplateStringsArray, ...parts: Part[]): Html {
  return { html: texts.map((text, index) => text + write(parts[index])).join('') };
}

function write(part: Part): string {
  if (part === undefined || part === false) return '';
  if (typeof part === 'object') return 'html' in part ? part.html : part.map((one) => one.html).join('');
  return escapeText(String(part));
}

/** A sentence whose words between backticks are code. */
export function prose(text: string): Html {
  const words = text.split('`').map((word, index) => {
    const safe = escapeText(word);
    return index % 2 === 1 ? `<code>${safe}</code>` : safe;
  });
  return { html: words.join('') };
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}
