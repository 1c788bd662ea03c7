import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { parse } from 'yaml';

/** The fields of a service that tests read. */
export interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly restart?: string;
  readonly volumes?: readonly string[];
  readonly stop_grace_period?: string;
  readonly deploy?: { readonly resources?: { readonly limits?: { readonly memory?: string } } };
}

/** compose.yaml with the variables of an `.env` file substituted. */
export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

const folder = new URL('../../../deploy/compose/', import.meta.url);

/** Returns the variables in `.env.example`. */
export async function readExample(): Promise<Record<string, string>> {
  return parseEnv(await readFile(new URL('.env.example', folder), 'utf8')) as Record<string, string>;
}

/** Returns the variables of an `.env` file that was made by the commands in docs/deploy/compose.md. */
export async function makeEnvFile(): Promise<{ variables: Record<string, string>; mode: number }> {
  const page = await readFile(new URL('../../docs/deploy/compose.md', folder), 'utf8');
  const [commands = ''] = /^\(umask 077[\s\S]+?^done$/m.exec(page) ?? [];
  const workFolder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  try {
    await copyFile(new URL('.env.example', folder), join(workFolder, '.env.example'));
    execFileSync('sh', ['-euc', commands], { cwd: workFolder });
    const path = join(workFolder, '.env');
    const variables = parseEnv(await readFile(path, 'utf8')) as Record<string, string>;
    return { variables, mode: (await stat(path)).mode & 0o777 };
  } finally {
    await rm(workFolder, { recursive: true });
  }
}

/** Parses compose.yaml and substitutes variables. Throws if a required variable is missing, as Compose does. */
export async function readComposeFile(variables: Readonly<Record<string, string>>): Promise<ComposeFile> {
  const text = await readFile(new URL('compose.yaml', folder), 'utf8');
  return substitute(parse(text, { merge: true }), variables) as ComposeFile;
}

function substitute(value: unknown, variables: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return substituteInText(value, variables);
  if (Array.isArray(value)) return value.map((entry) => substitute(entry, variables));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, substitute(entry, variables)]));
}

function substituteInText(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(
    /\$\{(\w+)(?::([?-])([^}]*))?\}/g,
    (_match, name: string, kind?: string, argument = '') => {
      const value = variables[name];
      if (value) return value;
      if (kind === '-') return argument;
      throw new Error(`${name}: ${argument}`);
    },
  );
}
