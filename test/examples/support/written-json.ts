/** A value as documents write it: JSON in which `…` stands for what is left out. */
export type Written =
  | { readonly kind: 'value'; readonly value: string | number | boolean | null }
  | { readonly kind: 'list'; readonly items: readonly Written[]; readonly isCut: boolean }
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Written>; readonly isCut: boolean };

/** The mark for what is left out. */
export const cut = '…';

/** A piece of output: a line of text, or a JSON object with all of its lines. */
export type Piece = { readonly text: string } | { readonly json: Written };

/** Output as pieces. JSON begins at the beginning of a line. */
export function readPieces(output: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < output.length) {
    const end = output.indexOf('\n', at) === -1 ? output.length : output.indexOf('\n', at);
    if (output[at] === '{') {
      const reader = new Reader(output, at);
      pieces.push({ json: reader.value() });
      at = reader.at;
    } else {
      const text = output.slice(at, end).trim();
      if (text !== '') pieces.push({ text });
      at = end + 1;
    }
  }
  return pieces;
}

/** Reads JSON with marks; commas beside a mark may be missing. */
class Reader {
  readonly #text: string;
  at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.at = at;
  }

  value(): Written {
    this.#skip(/[\s]*/y);
    if (this.#take('{')) return this.#object();
    if (this.#take('[')) return this.#list();
    const [literal] = this.#skip(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/y);
    if (literal === undefined || literal === '')
      throw new Error(`This is not JSON: ${this.#text.slice(this.at, this.at + 60)}`);
    return { kind: 'value', value: JSON.parse(literal.replaceAll(/\s*\n\s*/g, ' ')) as string };
  }

  #object(): Written {
    const members = new Map<string, Written>();
    const isCut = this.#entries('}', () => {
      const [name = ''] = this.#skip(/"[^"]*"/y);
      this.#skip(/\s*:/y);
      members.set(name.slice(1, -1), this.value());
    });
    return { kind: 'object', members, isCut };
  }

  #list(): Written {
    const items: Written[] = [];
    const isCut = this.#entries(']', () => items.push(this.value()));
    return { kind: 'list', items, isCut };
  }

  /** Reads entries up to `end`; answers whether some are left out. */
  #entries(end: string, readEntry: () => unknown): boolean {
    let isCut = false;
    for (;;) {
      this.#skip(/[\s,]*/y);
      if (this.#take(end)) return isCut;
      if (this.#take(cut)) isCut = true;
      else readEntry();
    }
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  #skip(pattern: RegExp): readonly string[] {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text) ?? [];
    this.at += found[0]?.length ?? 0;
    return found;
  }
}
