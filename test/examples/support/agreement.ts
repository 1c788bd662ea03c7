import { cut, type Piece, readPieces, type Written } from './written-json.ts';

/** What is new in each run, by its form: UUIDs, hashes, times; long numbers and fractions depend on the machine. */
const passing = {
  uuid: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
  time: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g,
  hash: /(?<![\w-])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{10,64}(?![\w])/g,
  number: /(?<![\w.])(?:\d{4,}|\d+\.\d+(?:e[+-]?\d+)?)(?![\w])/g,
} as const;

/** Figures that depend on the processor, the disk or the hour, however small they are. */
const measured = /(?:^|_)(?:bytes|seconds|distance|dimension|alive|busy|waiting)$/;

const inWork = new Set<unknown>(['pending', 'processing']);

/** Compares documented outputs with real ones, and learns which UUID or hash stands for which. */
export interface Comparison {
  /** What differs, a sentence each; empty when `real` is what the document shows. */
  differences(documented: string, real: string): string[];
  /** A documented command with the UUIDs and hashes of this run. */
  translate(command: string): string;
}

/** @see Comparison */
export function makeComparison(): Comparison {
  const known = new Map<string, string>();

  /** Whether two texts are the same but for what is new in each run; what they taught counts only if they are. */
  function sameText(documented: string, real: string): boolean {
    const [left, right] = [withoutPassing(documented), withoutPassing(real)];
    if (left.form !== right.form && !globOf(left.form).test(right.form)) return false;
    if (left.form !== right.form) return true;
    const pairs = left.names.map((name, place) => [name, right.names[place] ?? ''] as const);
    if (pairs.some(([name, now]) => (known.get(name) ?? now) !== now)) return false;
    for (const [name, now] of pairs) known.set(name, now);
    return true;
  }

  function compare(documented: Written, real: Written | undefined, path: string): string[] {
    if (!real) return [`${path} is missing`];
    if (documented.kind === 'object' && real.kind === 'object') return compareObjects(documented, real, path);
    if (documented.kind === 'list' && real.kind === 'list') return compareLists(documented, real, path);
    if (documented.kind !== 'value' || real.kind !== 'value') return [`${path} has another shape`];
    return sameValue(path, documented.value, real.value)
      ? []
      : [`${path} is ${JSON.stringify(real.value)}, not ${JSON.stringify(documented.value)}`];
  }

  function sameValue(path: string, documented: unknown, real: unknown): boolean {
    if (typeof documented !== typeof real) return false;
    // Whether a worker took the job before the answer was written is a matter of luck.
    if (inWork.has(documented) && inWork.has(real)) return true;
    if (typeof documented === 'string') return sameText(documented, String(real));
    const depends =
      typeof documented === 'number' &&
      (measured.test(path) || !Number.isInteger(documented) || documented >= 1_000);
    return depends || documented === real;
  }

  function compareObjects(
    documented: Extract<Written, { kind: 'object' }>,
    real: Extract<Written, { kind: 'object' }>,
    path: string,
  ): string[] {
    const more = documented.isCut
      ? []
      : [...real.members.keys()].filter((key) => !documented.members.has(key));
    const found = Array.from(documented.members, ([key, member]) =>
      compare(member, real.members.get(key), `${path}.${key}`),
    );
    return [...found.flat(), ...more.map((key) => `${path}.${key} is not in the document`)];
  }

  function compareLists(
    documented: Extract<Written, { kind: 'list' }>,
    real: Extract<Written, { kind: 'list' }>,
    path: string,
  ): string[] {
    if (!documented.isCut && documented.items.length !== real.items.length)
      return [`${path} has ${real.items.length} entries, not ${documented.items.length}`];
    const items = documented.items.map((item, place) =>
      compare(item, real.items[place], `${path}[${place}]`),
    );
    return items.flat();
  }

  function comparePieces(documented: Piece, real: Piece | undefined): string[] {
    if ('json' in documented)
      return real && 'json' in real ? compare(documented.json, real.json, '') : ['there is no JSON'];
    if (real && 'text' in real && sameText(documented.text, real.text)) return [];
    return [
      `the line is ${real && 'text' in real ? JSON.stringify(real.text) : 'missing'}, not "${documented.text}"`,
    ];
  }

  function differences(documented: string, real: string): string[] {
    const pieces = readPieces(real);
    let mayLeaveOut = false;
    for (const piece of readPieces(documented)) {
      if ('text' in piece && piece.text === cut) {
        mayLeaveOut = true;
        continue;
      }
      const rest = mayLeaveOut ? pieces.findIndex((next) => comparePieces(piece, next).length === 0) : 0;
      pieces.splice(0, Math.max(rest, 0));
      const found = comparePieces(piece, pieces.shift());
      if (found.length > 0) return found;
      mayLeaveOut = false;
    }
    return mayLeaveOut || pieces.length === 0 ? [] : [`${pieces.length} lines are not in the document`];
  }

  return {
    differences,
    translate: (command) => [...known].reduce((text, [name, now]) => text.replaceAll(name, now), command),
  };
}

/** A text with marks in place of what is new in each run, and the UUIDs and hashes that stood there. */
function withoutPassing(text: string): { form: string; names: string[] } {
  const names: string[] = [];
  const keep = (mark: string) => (name: string) => {
    names.push(name);
    return mark;
  };
  const form = text
    .replaceAll(passing.time, '‹time›')
    .replaceAll(passing.uuid, keep('‹uuid›'))
    .replaceAll(passing.hash, keep('‹hash›'))
    .replaceAll(passing.number, '‹number›')
    .replaceAll(/\s+/g, ' ');
  return { form, names };
}

/** A text in which `…` stands for anything. */
function globOf(text: string): RegExp {
  return new RegExp(
    `^${text
      .split(cut)
      .map((part) => RegExp.escape(part))
      .join('.*')}$`,
    's',
  );
}
