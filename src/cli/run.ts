import { parseArgs } from 'node:util';
import { type Config, loadConfig } from '../config.ts';
import { DataFolderInUse } from '../data-folder/lock.ts';
import { ConfigError, StartupError } from '../errors.ts';
import { commands } from './commands.ts';
import { type Command, UsageError } from './options.ts';
import type { ProcessEnvironment } from './environment.ts';
import { version } from '../version.ts';
import { CommandError } from './server-connection.ts';

/** Exit codes for shells and supervisors. */
const exitCodes = { success: 0, failure: 1, invalidUsage: 2 } as const;

/** Runs the command that `args` specifies and returns the exit code. */
export async function run(args: readonly string[], environment: ProcessEnvironment): Promise<number> {
  const [name = 'help', ...commandArgs] = args;
  if (name === '--version' || name === 'version') return printVersion();
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) return printOverview(name);
  if (commandArgs.includes('--help') || commandArgs.includes('-h')) return printHelp(name, command);
  try {
    const parsedArgs = parseCommandArgs(command, commandArgs);
    return (
      (await command.run(readConfig(environment), parsedArgs.values, parsedArgs.positionals)) ??
      exitCodes.success
    );
  } catch (error) {
    return reportError(name, error, command.failureCode ?? exitCodes.failure);
  }
}

function parseCommandArgs(command: Command, args: string[]) {
  try {
    const options = Object.fromEntries(
      Object.entries(command.options).map(([name, { type, isRepeatable = false }]) => [
        name,
        { type, multiple: isRepeatable },
      ]),
    );
    return parseArgs({ args, options, allowPositionals: command.acceptsInputs ?? false });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readConfig({ variables, warning }: ProcessEnvironment): Config {
  const config = loadConfig(variables);
  return warning === undefined ? config : { ...config, warnings: [warning, ...config.warnings] };
}

/** Prints the message of an error that the user can fix. Any other error is a bug and is shown with its stack. */
function reportError(name: string, error: unknown, failureCode: number): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nSee: vitrine ${name} --help\n`);
    return exitCodes.invalidUsage;
  }
  if (
    error instanceof ConfigError ||
    error instanceof DataFolderInUse ||
    error instanceof CommandError ||
    error instanceof StartupError ||
    isSystemError(error)
  ) {
    process.stderr.write(`${error.message}${describeRemedy(error)}\n`);
    return error instanceof ConfigError ? exitCodes.invalidUsage : failureCode;
  }
  // Node would exit with 1.
  if (failureCode === exitCodes.failure) throw error;
  console.error(error);
  return failureCode;
}

/** Whether the operating system reported the error, for example because a port is in use. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

function describeRemedy(error: Error): string {
  if (!('code' in error)) return '';
  if (error.code === 'EADDRINUSE')
    return '\nAnother program is already listening on that port. Stop it, or set PORT (for a worker: WORKER_PORT) to a different port.';
  return '\nCheck DATA_DIR and STORAGE_PATH: they must be folders that this user can write to.';
}

function printHelp(name: string, { usage, description, options }: Command): number {
  const lines = Object.entries(options).map(
    ([option, { description }]) => `  --${option.padEnd(14)} ${description}`,
  );
  process.stdout.write(
    `Usage: vitrine ${name}${usage}\n\n${description}\n${lines.length > 0 ? `\nOptions:\n${lines.join('\n')}\n` : ''}`,
  );
  return exitCodes.success;
}

/** Prints an overview of all commands, either as help or as an error for an unknown command. */
function printOverview(name: string): number {
  const isHelp = ['help', '--help', '-h'].includes(name);
  const entries = Object.entries(commands).map(
    ([command, { usage, description }]) => [`${command}${usage}`, description] as const,
  );
  const width = Math.max(...entries.map(([synopsis]) => synopsis.length));
  const text = `Usage: vitrine <command>\n\n${entries.map(([synopsis, description]) => `  ${synopsis.padEnd(width)}  ${description}`).join('\n')}\n\nSettings are environment variables or lines in a .env file: see docs/configuration.md.\n`;
  if (isHelp) process.stdout.write(text);
  else process.stderr.write(`Unknown command "${name.slice(0, 60)}".\n\n${text}`);
  return isHelp ? exitCodes.success : exitCodes.invalidUsage;
}

function printVersion(): number {
  process.stdout.write(`${version}\n`);
  return exitCodes.success;
}
