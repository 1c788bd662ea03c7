import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = resolve(fileURLToPath(new URL('../', import.meta.url)));
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

/** Files in the repository: tracked files, and new ones that git does not ignore. */
const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard')
  .split('\0')
  .filter((name) => name !== '' && statSync(join(root, name), { throwIfNoEntry: false })?.isFile());
const pictures = new Set(['.jpg', '.jpeg', '.png', '.gif', '.webp', '.avif', '.tif', '.tiff', '.bmp']);
const texts = files.filter((name) => !pictures.has(extname(name)) && name !== 'package-lock.json');

/** Returns the lines in the repository that match, as `file:line: text`. */
function linesWith(pattern: RegExp, among: readonly string[] = texts): string[] {
  return among.flatMap((name) =>
    readFileSync(join(root, name), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${name}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
      ),
  );
}

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

describe('the repository mentions only the product', () => {
  test('contains no path of a home folder', () => {
    expect(linesWith(/(?:\/home\/|\/Users\/|[A-Z]:\\Users\\)\w/)).toEqual([]);
    expect(linesWith(/(?<![\w.$}/-])\/root\//)).toEqual([]);
  });

  test('contains no path of the folder above this checkout', () => {
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
    expect(linesWith(new RegExp(String.raw`(?<![\w.$}/*-])${escaped(parent)}/`))).toEqual([]);
  });

  test('contains no host of a package registry', () => {
    expect(
      linesWith(/registry\.(?:npmjs|yarnpkg)|npm\.pkg\.|(?:deb|snapshot)\.debian|archive\.ubuntu/),
    ).toEqual([]);
  });

  test('contains no bare issue number', () => {
    const code = texts.filter((name) => /\.(?:ts|js|md|sql)$|^\.ci\//.test(name));
    expect(linesWith(/\b(?:issue|fixes|closes|ticket|PR)\s+#?\d+\b/i, code)).toEqual([]);
  });

  test('contains no credentials', () => {
    const patterns = /-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bghp_\w{30,}|\bnpm_\w{30,}/;
    expect(linesWith(patterns)).toEqual([]);
  });
});

describe('the repository has no leftovers', () => {
  const code = texts.filter((name) => /\.(?:ts|js)$/.test(name));

  test('contains no markers of unfinished work or merge conflicts', () => {
    expect(linesWith(new RegExp(String.raw`\b(?:TO${'DO'}|FIX${'ME'}|XX${'X'})\b`))).toEqual([]);
    expect(linesWith(/^(?:<{7}|>{7}) /)).toEqual([]);
  });

  test('contains no tests marked only, skip or todo', () => {
    const tests = code.filter((name) => name.startsWith('test/'));
    expect(linesWith(/\b(?:test|it|describe)\.(?:only|skip|todo)\(/, tests)).toEqual([]);
  });

  test('contains no large files', () => {
    const large = files.filter((name) => statSync(join(root, name)).size > 300_000);
    expect(large).toEqual([]);
  });
});
