import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const readRootFile = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = readRootFile('docs/security.md');

interface Threat {
  readonly attack: string;
  readonly tests: string;
}

const threats = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Attack '))
  .map((line): Threat => {
    const [attack = '', , tests = ''] = line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim());
    return { attack, tests };
  });

/** Returns the tests that a cell names, as a file and a title. A semicolon separates them. */
function readReferences(tests: string): { file: string; title: string }[] {
  return tests.split('; ').flatMap((reference) => {
    const match = /`(test\/[^`]+)`: (.+)$/.exec(reference);
    return match ? [{ file: match[1] ?? '', title: match[2] ?? '' }] : [];
  });
}

describe('the threat table', () => {
  test('names only existing tests', () => {
    const references = threats.flatMap(({ tests }) => readReferences(tests));
    expect(references.length).toBeGreaterThan(25);
    const missing = references.filter(
      ({ file, title }) =>
        !existsSync(new URL(`../${file}`, import.meta.url)) || !readRootFile(file).includes(`${title}'`),
    );
    expect(missing).toEqual([]);
  });

  test('names a test for each threat', () => {
    expect(threats.length).toBeGreaterThan(30);
    const untested = threats.filter(({ tests }) => readReferences(tests).length === 0);
    expect(untested.map(({ attack }) => attack)).toEqual([]);
  });

  test('is linked from the security policy', () => {
    expect(readRootFile('SECURITY.md')).toContain('(docs/security.md)');
  });
});
