import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = resolve(fileURLToPath(new URL('../', import.meta.url)));
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });

/** Files that belong to the repository: those that git knows, and new ones that it does not ignore. */
const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard')
  .split('\0')
  .filter((name) => name !== '' && statSync(join(root, name), { throwIfNoEntry: false })?.isFile());
const pictures = new Set(['.jpg', '.jpeg', '.png', '.gif', '.webp', '.avif', '.tif', '.tiff', '.bmp']);
const texts = files.filter((name) => !pictures.has(extname(name)) && name !== 'package-lock.json');

/** Lines of the repository that match, as `file:line: text`. */
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

describe('the repository speaks of the product alone', () => {
  test('no path of somebody’s machine', () => {
    expect(linesWith(/(?:\/home\/|\/Users\/|[A-Z]:\\Users\\)\w/)).toEqual([]);
    expect(linesWith(/(?<![\w.$}/-])\/root\//)).toEqual([]);
  });

  test('no path of the folder that this checkout lies in', () => {
    const parent = dirname(root);
    // Folders that every machine has say nothing about one.
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

  test('no host of a package registry', () => {
    expect(
      linesWith(/registry\.(?:npmjs|yarnpkg)|npm\.pkg\.|(?:deb|snapshot)\.debian|archive\.ubuntu/),
    ).toEqual([]);
  });

  test('no bare issue number', () => {
    const code = texts.filter((name) => /\.(?:ts|js|md|sql)$|^\.ci\//.test(name));
    expect(linesWith(/\b(?:issue|fixes|closes|ticket|PR)\s+#?\d+\b/i, code)).toEqual([]);
  });

  test('no credentials', () => {
    const marks = /-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bghp_\w{30,}|\bnpm_\w{30,}/;
    expect(linesWith(marks)).toEqual([]);
  });
});

describe('nothing is left over', () => {
  const code = texts.filter((name) => /\.(?:ts|js)$/.test(name));

  test('no marks of unfinished work', () => {
    expect(linesWith(new RegExp(String.raw`\b(?:TO${'DO'}|FIX${'ME'}|XX${'X'})\b`))).toEqual([]);
    expect(linesWith(/^(?:<{7}|>{7}) /)).toEqual([]);
  });

  test('no test is the only one, and none is skipped', () => {
    const tests = code.filter((name) => name.startsWith('test/'));
    expect(linesWith(/\b(?:test|it|describe)\.(?:only|skip|todo)\(/, tests)).toEqual([]);
  });

  test('no large file', () => {
    const large = files.filter((name) => statSync(join(root, name)).size > 300_000);
    expect(large).toEqual([]);
  });
});
