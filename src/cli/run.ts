import { parseArgs } from 'node:util';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { DataFolderInUse } from '../data-folder/lock.ts';
import { StartRefused } from '../errors.ts';
import { type Command, commands, UsageError } from './commands.ts';
import type { Environment } from './environment.ts';
import { version } from '../version.ts';
import { CommandRefused } from './server-connection.ts';

/** Exit codes: what shells and supervisors go by. */
const exitCodes = { done: 0, failed: 1, notUnderstood: 2 } as const;

/** Runs the command that `args` name; answers the exit code. */
export async function run(args: readonly string[], environment: Environment): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (name === '--version' || name === 'version') return printVersion();
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) return explain(name);
  if (rest.includes('--help') || rest.includes('-h')) return describe(name, command);
  try {
    const parsed = parse(command, rest);
    return (await command.run(configOf(environment), parsed.values, parsed.positionals)) ?? exitCodes.done;
  } catch (error) {
    return refuse(name, error);
  }
}

function parse(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: command.options, allowPositionals: command.takesInputs ?? false });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function configOf({ variables, warning }: Environment): Config {
  const config = loadConfig(variables);
  return warning === undefined ? config : { ...config, warnings: [warning, ...config.warnings] };
}

/** Errors that a person can do something about are sentences; all others are bugs and keep their stack. */
function refuse(name: string, error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nSee: vitrine ${name} --help\n`);
    return exitCodes.notUnderstood;
  }
  if (
    error instanceof ConfigError ||
    error instanceof DataFolderInUse ||
    error instanceof CommandRefused ||
    error instanceof StartRefused ||
    isSystemError(error)
  ) {
    process.stderr.write(`${error.message}${remedyFor(error)}\n`);
    return error instanceof ConfigError ? exitCodes.notUnderstood : exitCodes.failed;
  }
  throw error;
}

/** A port in use, a folder without rights: the system's own sentence names it. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

function remedyFor(error: Error): string {
  if (!('code' in error)) return '';
  if (error.code === 'EADDRINUSE')
    return '\nAnother program listens there: stop it, or set PORT (of a worker: WORKER_PORT) to another port.';
  return '\nCheck DATA_DIR and STORAGE_PATH: they must be folders that this user may write to.';
}

function describe(name: string, { usage, about, options }: Command): number {
  const lines = Object.entries(options).map(
    ([option, { about: words }]) => `  --${option.padEnd(14)} ${words}`,
  );
  process.stdout.write(
    `Usage: vitrine ${name}${usage}\n\n${about}\n${lines.length > 0 ? `\nOptions:\n${lines.join('\n')}\n` : ''}`,
  );
  return exitCodes.done;
}

function explain(name: string): number {
  const asked = ['help', '--help', '-h'].includes(name);
  const entries = Object.entries(commands).map(
    ([command, { usage, about }]) => [`${command}${usage}`, about] as const,
  );
  const width = Math.max(...entries.map(([left]) => left.length));
  const text = `Usage: vitrine <command>\n\n${entries.map(([left, about]) => `  ${left.padEnd(width)}  ${about}`).join('\n')}\n\nSettings are environment variables, or lines of a .env file: see docs/configuration.md.\n`;
  if (asked) process.stdout.write(text);
  else process.stderr.write(`There is no command "${name.slice(0, 60)}".\n\n${text}`);
  return asked ? exitCodes.done : exitCodes.notUnderstood;
}

function printVersion(): number {
  process.stdout.write(`${version}\n`);
  return exitCodes.done;
}
