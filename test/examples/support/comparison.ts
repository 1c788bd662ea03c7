import { ellipsis, type Piece, readPieces, type DocumentedValue } from './documented-json.ts';

/** Patterns of text that differs between runs. Large numbers and fractions depend on the machine. */
const volatilePatterns = {
  apiKey: /\bvitrine_[\da-f]{16}_\w{20,}/g,
  uuid: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g,
  time: /\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)| \d\d:\d\d UTC)/g,
  hash: /(?<![\w-])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{10,64}(?![\w])/g,
  number: /(?<![\w.])(?:\d{4,}|\d+\.\d+(?:e[+-]?\d+)?)(?![\w])/g,
} as const;

/** Names of fields whose values depend on the CPU, the disk or the time, even if the values are small. */
const measuredFields = /(?:^|_)(?:bytes|seconds|distance|dimension|alive|busy|waiting)$/;

const unfinishedStates = new Set<unknown>(['pending', 'processing']);

/** Compares documented and actual output. Remembers which actual UUID, hash or key replaces which documented value. */
export interface Comparison {
  /** Returns a description of each difference. */
  findDifferences(documented: string, actual: string): string[];
  /** Returns a documented command with the UUIDs, hashes and keys of this run. */
  translate(command: string): string;
}

/** Creates a comparison for the examples of one document. */
export function makeComparison(): Comparison {
  /** Maps documented UUIDs, hashes and keys to actual values. */
  const actualIdentifiers = new Map<string, string>();

  /** Returns whether two texts differ only in volatile parts. If so, remembers their UUIDs and hashes. */
  function matchesText(documented: string, actual: string): boolean {
    const [left, right] = [maskVolatile(documented), maskVolatile(actual)];
    if (left.masked !== right.masked && !ellipsisPattern(left.masked).test(right.masked)) return false;
    if (left.masked !== right.masked) return true;
    const pairs = left.identifiers.map(
      (identifier, index) => [identifier, right.identifiers[index] ?? ''] as const,
    );
    if (pairs.some(([identifier, actual]) => (actualIdentifiers.get(identifier) ?? actual) !== actual))
      return false;
    for (const [identifier, actual] of pairs) actualIdentifiers.set(identifier, actual);
    return true;
  }

  function compare(documented: DocumentedValue, actual: DocumentedValue | undefined, path: string): string[] {
    if (!actual) return [`${path} is missing`];
    if (documented.kind === 'object' && actual.kind === 'object')
      return compareObjects(documented, actual, path);
    if (documented.kind === 'list' && actual.kind === 'list') return compareLists(documented, actual, path);
    if (documented.kind !== 'value' || actual.kind !== 'value') return [`${path} has a different shape`];
    return matchesValue(path, documented.value, actual.value)
      ? []
      : [`${path} is ${JSON.stringify(actual.value)}, not ${JSON.stringify(documented.value)}`];
  }

  function matchesValue(path: string, documented: unknown, actual: unknown): boolean {
    if (typeof documented !== typeof actual) return false;
    // Timing decides whether a worker claims the job before the response is sent.
    if (unfinishedStates.has(documented) && unfinishedStates.has(actual)) return true;
    if (typeof documented === 'string') return matchesText(documented, String(actual));
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
    const undocumentedKeys = documented.isAbridged
      ? []
      : [...actual.members.keys()].filter((key) => !documented.members.has(key));
    const foundDifferences = Array.from(documented.members, ([key, member]) =>
      compare(member, actual.members.get(key), `${path}.${key}`),
    );
    return [
      ...foundDifferences.flat(),
      ...undocumentedKeys.map((key) => `${path}.${key} is not in the document`),
    ];
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
    if (actual && 'text' in actual && matchesText(documented.text, actual.text)) return [];
    return [
      `the line is ${actual && 'text' in actual ? JSON.stringify(actual.text) : 'missing'}, not "${documented.text}"`,
    ];
  }

  function findDifferences(documented: string, actual: string): string[] {
    const pieces = readPieces(actual);
    let isAfterEllipsis = false;
    for (const piece of readPieces(documented)) {
      if ('text' in piece && piece.text === ellipsis) {
        isAfterEllipsis = true;
        continue;
      }
      const nextMatch = isAfterEllipsis
        ? pieces.findIndex((next) => comparePieces(piece, next).length === 0)
        : 0;
      pieces.splice(0, Math.max(nextMatch, 0));
      const foundDifferences = comparePieces(piece, pieces.shift());
      if (foundDifferences.length > 0) return foundDifferences;
      isAfterEllipsis = false;
    }
    return isAfterEllipsis || pieces.length === 0 ? [] : [`${pieces.length} lines are not in the document`];
  }

  return {
    findDifferences,
    translate: (command) =>
      [...actualIdentifiers].reduce(
        (text, [identifier, actual]) => text.replaceAll(identifier, actual),
        command,
      ),
  };
}

/** Replaces the volatile parts of `text` with placeholders. Also returns the UUIDs and hashes that it replaced. */
function maskVolatile(text: string): { masked: string; identifiers: string[] } {
  const identifiers: string[] = [];
  const collect = (placeholder: string) => (identifier: string) => {
    identifiers.push(identifier);
    return placeholder;
  };
  const masked = text
    .replaceAll(volatilePatterns.apiKey, collect('‹key›'))
    .replaceAll(volatilePatterns.time, '‹time›')
    .replaceAll(volatilePatterns.uuid, collect('‹uuid›'))
    .replaceAll(volatilePatterns.hash, collect('‹hash›'))
    .replaceAll(volatilePatterns.number, '‹number›')
    .replaceAll(/\s+/g, ' ');
  return { masked, identifiers };
}

/** Returns a pattern in which `…` matches any text. */
function ellipsisPattern(text: string): RegExp {
  return new RegExp(
    `^${text
      .split(ellipsis)
      .map((part) => RegExp.escape(part))
      .join('.*')}$`,
    's',
  );
}
