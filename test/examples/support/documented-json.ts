/** A JSON value in a document, in which `…` marks omitted parts. */
export type DocumentedValue =
  | { readonly kind: 'value'; readonly value: string | number | boolean | null }
  | { readonly kind: 'list'; readonly items: readonly DocumentedValue[]; readonly isAbridged: boolean }
  | {
      readonly kind: 'object';
      readonly members: ReadonlyMap<string, DocumentedValue>;
      readonly isAbridged: boolean;
    };

/** The mark for omitted parts. */
export const ellipsis = '…';

/** A piece of output, which is a line of text or a JSON object. */
export type Piece = { readonly text: string } | { readonly json: DocumentedValue };

/** Splits output into pieces. A JSON object starts at the beginning of a line. */
export function readPieces(output: string): Piece[] {
  const pieces: Piece[] = [];
  let position = 0;
  while (position < output.length) {
    const end = output.indexOf('\n', position) === -1 ? output.length : output.indexOf('\n', position);
    if (output[position] === '{') {
      const parser = new Parser(output, position);
      pieces.push({ json: parser.value() });
      position = parser.position;
    } else {
      const text = output.slice(position, end).trim();
      if (text !== '') pieces.push({ text });
      position = end + 1;
    }
  }
  return pieces;
}

/** Parses JSON in which `…` marks omitted parts. Commas next to the mark are optional. */
class Parser {
  readonly #text: string;
  position: number;

  constructor(text: string, position: number) {
    this.#text = text;
    this.position = position;
  }

  value(): DocumentedValue {
    this.#skip(/[\s]*/y);
    if (this.#take('{')) return this.#object();
    if (this.#take('[')) return this.#list();
    const [literal] = this.#skip(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/y);
    if (literal === undefined || literal === '')
      throw new Error(`This is not JSON: ${this.#text.slice(this.position, this.position + 60)}`);
    return { kind: 'value', value: JSON.parse(literal.replaceAll(/\s*\n\s*/g, ' ')) as string };
  }

  #object(): DocumentedValue {
    const members = new Map<string, DocumentedValue>();
    const isAbridged = this.#entries('}', () => {
      const [name = ''] = this.#skip(/"[^"]*"/y);
      this.#skip(/\s*:/y);
      members.set(name.slice(1, -1), this.value());
    });
    return { kind: 'object', members, isAbridged };
  }

  #list(): DocumentedValue {
    const items: DocumentedValue[] = [];
    const isAbridged = this.#entries(']', () => items.push(this.value()));
    return { kind: 'list', items, isAbridged };
  }

  /** Parses entries up to `end`. Returns whether entries are omitted. */
  #entries(end: string, readEntry: () => unknown): boolean {
    let isAbridged = false;
    for (;;) {
      this.#skip(/[\s,]*/y);
      if (this.#take(end)) return isAbridged;
      if (this.#take(ellipsis)) isAbridged = true;
      else readEntry();
    }
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.position)) return false;
    this.position += token.length;
    return true;
  }

  #skip(pattern: RegExp): readonly string[] {
    pattern.lastIndex = this.position;
    const match = pattern.exec(this.#text) ?? [];
    this.position += match[0]?.length ?? 0;
    return match;
  }
}
