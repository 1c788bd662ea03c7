import { ellipsis, type Piece, readPieces, type DocumentedValue } from './documented-json.ts';

/** Patterns of text that differs between runs. Large numbers and fractions depend on the machine. */
const volatile = {
  uuid: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
  time: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g,
  hash: /(?<![\w-])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{10,64}(?![\w])/g,
  number: /(?<![\w.])(?:\d{4,}|\d+\.\d+(?:e[+-]?\d+)?)(?![\w])/g,
} as const;

/** Names of fields whose values depend on the CPU, the disk or the time, even if they are small. */
const measuredFields = /(?:^|_)(?:bytes|seconds|distance|dimension|alive|busy|waiting)$/;

const unfinishedStates = new Set<unknown>(['pending', 'processing']);

/** Compares documented output with actual output, and remembers which actual UUID or hash replaces a documented one. */
export interface Comparison {
  /** Returns a description of each difference; empty if the output agrees with the document. */
  differences(documented: string, actual: string): string[];
  /** Returns a documented command with the UUIDs and hashes of this run. */
  translate(command: string): string;
}

/** Creates a comparison for the examples of one document. */
export function makeComparison(): Comparison {
  /** Actual UUIDs and hashes by documented ones. */
  const actualNames = new Map<string, string>();

  /** Whether two texts differ only in volatile parts. If so, remembers their UUIDs and hashes. */
  function sameText(documented: string, actual: string): boolean {
    const [left, right] = [maskVolatile(documented), maskVolatile(actual)];
    if (left.masked !== right.masked && !patternOf(left.masked).test(right.masked)) return false;
    if (left.masked !== right.masked) return true;
    const pairs = left.names.map((name, index) => [name, right.names[index] ?? ''] as const);
    if (pairs.some(([name, actual]) => (actualNames.get(name) ?? actual) !== actual)) return false;
    for (const [name, actual] of pairs) actualNames.set(name, actual);
    return true;
  }

  function compare(documented: DocumentedValue, actual: DocumentedValue | undefined, path: string): string[] {
    if (!actual) return [`${path} is missing`];
    if (documented.kind === 'object' && actual.kind === 'object')
      return compareObjects(documented, actual, path);
    if (documented.kind === 'list' && actual.kind === 'list') return compareLists(documented, actual, path);
    if (documented.kind !== 'value' || actual.kind !== 'value') return [`${path} has another shape`];
    return sameValue(path, documented.value, actual.value)
      ? []
      : [`${path} is ${JSON.stringify(actual.value)}, not ${JSON.stringify(documented.value)}`];
  }

  function sameValue(path: string, documented: unknown, actual: unknown): boolean {
    if (typeof documented !== typeof actual) return false;
    // Timing decides whether a worker claims the job before the response is sent.
    if (unfinishedStates.has(documented) && unfinishedStates.has(actual)) return true;
    if (typeof documented === 'string') return sameText(documented, String(actual));
    const isMeasured =
      typeof documented === 'number' &&
      (measuredFields.test(path) || !Number.isInteger(documented) || documented >= 1_000);
    return isMeasured || documented === actual;
  }

  function compareObjects(
    documented: Extract<DocumentedValue, { kind: 'object' }>,
    actual: Extract<DocumentedValue, { kind: 'object' }>,
    path: string,
  ): string[] {
    const undocumented = documented.isAbridged
      ? []
      : [...actual.members.keys()].filter((key) => !documented.members.has(key));
    const found = Array.from(documented.members, ([key, member]) =>
      compare(member, actual.members.get(key), `${path}.${key}`),
    );
    return [...found.flat(), ...undocumented.map((key) => `${path}.${key} is not in the document`)];
  }

  function compareLists(
    documented: Extract<DocumentedValue, { kind: 'list' }>,
    actual: Extract<DocumentedValue, { kind: 'list' }>,
    path: string,
  ): string[] {
    if (!documented.isAbridged && documented.items.length !== actual.items.length)
      return [`${path} has ${actual.items.length} entries, not ${documented.items.length}`];
    const items = documented.items.map((item, index) =>
      compare(item, actual.items[index], `${path}[${index}]`),
    );
    return items.flat();
  }

  function comparePieces(documented: Piece, actual: Piece | undefined): string[] {
    if ('json' in documented)
      return actual && 'json' in actual ? compare(documented.json, actual.json, '') : ['there is no JSON'];
    if (actual && 'text' in actual && sameText(documented.text, actual.text)) return [];
    return [
      `the line is ${actual && 'text' in actual ? JSON.stringify(actual.text) : 'missing'}, not "${documented.text}"`,
    ];
  }

  function differences(documented: string, actual: string): string[] {
    const pieces = readPieces(actual);
    let mayOmit = false;
    for (const piece of readPieces(documented)) {
      if ('text' in piece && piece.text === ellipsis) {
        mayOmit = true;
        continue;
      }
      const nextMatch = mayOmit ? pieces.findIndex((next) => comparePieces(piece, next).length === 0) : 0;
      pieces.splice(0, Math.max(nextMatch, 0));
      const found = comparePieces(piece, pieces.shift());
      if (found.length > 0) return found;
      mayOmit = false;
    }
    return mayOmit || pieces.length === 0 ? [] : [`${pieces.length} lines are not in the document`];
  }

  return {
    differences,
    translate: (command) =>
      [...actualNames].reduce((text, [name, actual]) => text.replaceAll(name, actual), command),
  };
}

/** Replaces the volatile parts of a text with placeholders. Also returns the UUIDs and hashes that it replaced. */
function maskVolatile(text: string): { masked: string; names: string[] } {
  const names: string[] = [];
  const collect = (placeholder: string) => (name: string) => {
    names.push(name);
    return placeholder;
  };
  const masked = text
    .replaceAll(volatile.time, '‹time›')
    .replaceAll(volatile.uuid, collect('‹uuid›'))
    .replaceAll(volatile.hash, collect('‹hash›'))
    .replaceAll(volatile.number, '‹number›')
    .replaceAll(/\s+/g, ' ');
  return { masked, names };
}

/** Returns a pattern in which `…` matches any text. */
function patternOf(text: string): RegExp {
  return new RegExp(
    `^${text
      .split(ellipsis)
      .map((part) => RegExp.escape(part))
      .join('.*')}$`,
    's',
  );
}
