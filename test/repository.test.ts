import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = resolve(fileURLToPath(new URL('../', import.meta.url)));
const runGit = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

/** All tracked files, and untracked files that git does not ignore. */
const files = runGit('ls-files', '-z', '--cached', '--others', '--exclude-standard')
  .split('\0')
  .filter((name) => name !== '' && statSync(join(root, name), { throwIfNoEntry: false })?.isFile());
const pictureExtensions = new Set([
  '.jpg',
  '.jpeg',
  '.png',
  '.gif',
  '.webp',
  '.avif',
  '.tif',
  '.tiff',
  '.bmp',
]);
const textFiles = files.filter(
  (name) => !pictureExtensions.has(extname(name)) && name !== 'package-lock.json',
);

/** Returns the lines that match, as `file:line: text`. */
function findLines(pattern: RegExp, fileNames: readonly string[] = textFiles): string[] {
  return fileNames.flatMap((name) =>
    readFileSync(join(root, name), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${name}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
      ),
  );
}

const escapeRegExp = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

describe('the published repository', () => {
  test('contains no path to a home folder', () => {
    expect(findLines(/(?:\/home\/|\/Users\/|[A-Z]:\\Users\\)\w/)).toEqual([]);
    expect(findLines(/(?<![\w.$}/-])\/root\//)).toEqual([]);
  });

  test('contains no path to the parent folder of this checkout', () => {
    const parent = dirname(root);
    // A common folder does not identify a machine.
    const isCommon = [
      '/',
      '/tmp',
      '/usr',
      '/usr/src',
      '/opt',
      '/var',
      '/srv',
      '/home',
      '/mnt',
      '/app',
    ].includes(parent);
    if (isCommon) return;
    expect(findLines(new RegExp(String.raw`(?<![\w.$}/*-])${escapeRegExp(parent)}/`))).toEqual([]);
  });

  test('contains no package registry host', () => {
    expect(
      findLines(/registry\.(?:npmjs|yarnpkg)|npm\.pkg\.|(?:deb|snapshot)\.debian|archive\.ubuntu/),
    ).toEqual([]);
  });

  test('contains no bare issue number', () => {
    const codeFiles = textFiles.filter((name) => /\.(?:ts|js|md|sql)$|^\.ci\//.test(name));
    expect(findLines(/\b(?:issue|fixes|closes|ticket|PR)\s+#?\d+\b/i, codeFiles)).toEqual([]);
  });

  test('contains no credentials', () => {
    const patterns = /-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bghp_\w{30,}|\bnpm_\w{30,}/;
    expect(findLines(patterns)).toEqual([]);
  });
});

describe('the source tree', () => {
  const codeFiles = textFiles.filter((name) => /\.(?:ts|js)$/.test(name));

  test('contains no markers of unfinished work or merge conflicts', () => {
    expect(findLines(new RegExp(String.raw`\b(?:TO${'DO'}|FIX${'ME'}|XX${'X'})\b`))).toEqual([]);
    expect(findLines(/^(?:<{7}|>{7}) /)).toEqual([]);
  });

  test('contains no tests marked only, skip or todo', () => {
    const tests = codeFiles.filter((name) => name.startsWith('test/'));
    expect(findLines(/\b(?:test|it|describe)\.(?:only|skip|todo)\(/, tests)).toEqual([]);
  });

  test('contains no large files', () => {
    const largeFiles = files.filter((name) => statSync(join(root, name)).size > 500_000);
    expect(largeFiles).toEqual([]);
  });
});
