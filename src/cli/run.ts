import { existsSync } from 'node:fs';
import { loadEnvFile } from 'node:process';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { DataFolderInUse } from '../data-folder/lock.ts';

interface Command {
  readonly usage: string;
  readonly about: string;
  /** Loaded when it is called: each command brings libraries that the others do not need. */
  run(config: Config, args: string[]): Promise<number | void>;
}

const commands: Readonly<Record<string, Command>> = {
  serve: {
    usage: 'serve',
    about: 'Serve the API, with a worker in the same process.',
    run: async (config) => (await import('./serve.ts')).serve(config),
  },
  worker: {
    usage: 'worker',
    about: 'Take jobs only; for the data folder of a stopped server.',
    run: async (config) => (await import('./worker.ts')).work(config),
  },
};

/** Runs the command that `args` name; answers the exit code: 0 done, 1 failed, 2 not understood. */
export async function run(args: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  const command = commands[name];
  if (!command) return explain(name);
  try {
    return (await command.run(readConfig(), rest)) ?? 0;
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof DataFolderInUse)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error instanceof ConfigError ? 2 : 1;
  }
}

/** The only place that reads the environment. Variables that are set win over those of the `.env` file. */
function readConfig(): Config {
  if (existsSync('.env')) loadEnvFile('.env');
  // oxlint-disable-next-line node/no-process-env -- see above
  return loadConfig(process.env);
}

function explain(name: string): number {
  const asked = ['help', '--help', '-h'].includes(name);
  const width = Math.max(...Object.values(commands).map(({ usage }) => usage.length));
  const lines = Object.values(commands).map(({ usage, about }) => `  ${usage.padEnd(width)}  ${about}`);
  const text = `Usage: vitrine <command>\n\n${lines.join('\n')}\n`;
  if (asked) process.stdout.write(text);
  else process.stderr.write(`There is no command "${name}".\n\n${text}`);
  return asked ? 0 : 2;
}
