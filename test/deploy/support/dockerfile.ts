import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';

/** The parts of the Dockerfile that tests check: its last stage, and how packages are installed. */
export interface Dockerfile {
  readonly images: readonly string[];
  readonly copies: readonly { readonly sources: readonly string[]; readonly target: string }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly install: readonly string[];
  readonly user: string;
  readonly folder: string;
  readonly volume: string;
}

/** Parses the instructions that the Dockerfile uses. */
export async function readDockerfile(): Promise<Dockerfile> {
  const text = await readFile(new URL('../../../Dockerfile', import.meta.url), 'utf8');
  const instructions = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => /^([A-Z]+) (.+)$/.exec(line))
    .flatMap((match) => (match ? [{ name: match[1], words: match[2] ?? '' }] : []));
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const wordsOf = (wanted: string, among = last) =>
    among.filter(({ name }) => name === wanted).map(({ words }) => words);
  const [install = ''] = wordsOf('RUN', instructions);
  return {
    images: wordsOf('FROM', instructions),
    copies: wordsOf('COPY')
      .filter((words) => !words.startsWith('--from'))
      .map((words) => words.split(' '))
      .map((words) => ({ sources: words.slice(0, -1), target: words.at(-1) ?? '' })),
    environment: readPairs(wordsOf('ENV')),
    command: listIn(wordsOf('CMD')[0]),
    healthcheck: listIn(wordsOf('HEALTHCHECK')[0]),
    install: install.split(' '),
    user: wordsOf('USER')[0] ?? '',
    folder: wordsOf('WORKDIR')[0] ?? '',
    volume: wordsOf('VOLUME')[0] ?? '',
  };
}

function readPairs(lines: readonly string[]): Record<string, string> {
  return parseEnv(lines.join(' ').replaceAll(' ', '\n')) as Record<string, string>;
}

function listIn(words = ''): string[] {
  return JSON.parse(/\[.*\]/.exec(words)?.[0] ?? '[]') as string[];
}
