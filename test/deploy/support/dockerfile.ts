import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';

/**
 * The contents of the Dockerfile's last stage, the base images of all stages, and the command that installs packages.
 */
export interface Dockerfile {
  readonly baseImages: readonly string[];
  readonly copies: readonly { readonly sources: readonly string[]; readonly target: string }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly installCommand: readonly string[];
  readonly user: string;
  readonly workingFolder: string;
  readonly volume: string;
}

/** Parses the Dockerfile. */
export async function readDockerfile(): Promise<Dockerfile> {
  const source = await readFile(new URL('../../../Dockerfile', import.meta.url), 'utf8');
  const instructions = source
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => /^([A-Z]+) (.+)$/.exec(line))
    .flatMap((match) => (match ? [{ name: match[1], text: match[2] ?? '' }] : []));
  const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const findArguments = (instruction: string, scope = lastStage) =>
    scope.filter(({ name }) => name === instruction).map(({ text }) => text);
  const [installCommand = ''] = findArguments('RUN', instructions);
  return {
    baseImages: findArguments('FROM', instructions),
    copies: findArguments('COPY')
      .filter((text) => !text.startsWith('--from'))
      .map((text) => text.split(' '))
      .map((words) => ({ sources: words.slice(0, -1), target: words.at(-1) ?? '' })),
    environment: parsePairs(findArguments('ENV')),
    command: parseList(findArguments('CMD')[0]),
    healthcheck: parseList(findArguments('HEALTHCHECK')[0]),
    installCommand: installCommand.split(' '),
    user: findArguments('USER')[0] ?? '',
    workingFolder: findArguments('WORKDIR')[0] ?? '',
    volume: findArguments('VOLUME')[0] ?? '',
  };
}

function parsePairs(lines: readonly string[]): Record<string, string> {
  return parseEnv(lines.join(' ').replaceAll(' ', '\n')) as Record<string, string>;
}

function parseList(text = ''): string[] {
  return JSON.parse(/\[.*\]/.exec(text)?.[0] ?? '[]') as string[];
}
