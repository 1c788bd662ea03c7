import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEnvFile } from 'node:process';

/** The variables of this process. */
export interface Environment {
  readonly variables: NodeJS.ProcessEnv;
  /** Why secrets remain readable in the environment block of this process, as a sentence for the log. */
  readonly warning: string | undefined;
}

/** Set after re-execution: the secrets are then in the file that is open as standard input. */
const marker = 'VITRINE_SECRETS_ON_STDIN';

/**
 * Reads the environment; nothing else does. Existing variables take precedence over those in a file `.env`.
 *
 * Every process of the same user can read the initial environment block of a process in `/proc/<pid>/environ` for as
 * long as it runs: removing a variable later does not change it. If the block contains secrets, this function
 * re-executes the program with a block without them (the process id stays the same, so supervisors are unaffected) and
 * does not return. The second time, it puts the secrets back into `process.env`, which Node keeps on the heap.
 */
export function readEnvironment(): Environment {
  // oxlint-disable-next-line node/no-process-env -- see above
  const variables = process.env;
  const isSecondLife = variables[marker] !== undefined;
  if (isSecondLife) takeSecrets(variables);
  const warning = isSecondLife ? undefined : restartWithout(secretsOf(variables), variables);
  if (existsSync('.env')) loadEnvFile('.env');
  return { variables, warning };
}

const secretNames =
  /SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)?_?KEYS?($|_)/i;
const secretValues = /:\/\/\S*:\S*@|[?&;\s]password=/i;

/** Variables that look like secrets, by their name or because they are a URL with a password. */
export function secretsOf(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => {
      const [name, value = ''] = entry;
      return value !== '' && (secretNames.test(name) || secretValues.test(value));
    }),
  );
}

/** Re-executes this process without `secrets` in its block. Returns why that was not possible. */
function restartWithout(secrets: Record<string, string>, variables: NodeJS.ProcessEnv): string | undefined {
  const names = Object.keys(secrets);
  if (names.length === 0) return undefined;
  const obstacle = obstacleToRestart() ?? handOver(JSON.stringify(secrets));
  if (obstacle !== undefined) {
    return `Processes of this user, such as a decoder that a picture took over, can read ${names.join(', ')} in the environment of this process: ${obstacle}.`;
  }
  const rest = Object.fromEntries(
    Object.entries(variables).filter(([name]) => !Object.hasOwn(secrets, name)),
  );
  const [, script = ''] = process.argv;
  const args = [process.execPath, ...process.execArgv, script, ...process.argv.slice(2)];
  // Node's warning that execve is experimental would never be printed: this process image ends here.
  return process.execve?.(process.execPath, args, { ...rest, [marker]: '1' });
}

/** A failing execve aborts the process, so everything it needs is checked first. */
function obstacleToRestart(): string | undefined {
  if (process.platform === 'win32' || process.execve === undefined) {
    return 'this system cannot replace a running program';
  }
  // execve would close the channel to a supervisor that forked this process, and Node does not start without it.
  if (process.send !== undefined) return 'it was started with a channel for messages, which would be lost';
  if (!canRun(process.execPath)) return `${process.execPath} cannot be run again`;
  return undefined;
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes an unlinked file with `text` standard input: of all open files, only 0, 1 and 2 survive Node's execve. The file
 * is unlinked before it has content, so that no other process can open it and no crash leaves it behind. Returns why it
 * failed.
 */
function handOver(text: string): string | undefined {
  closeSync(0);
  for (const folder of ['/dev/shm', tmpdir()]) {
    const fd = openNameless(folder);
    if (fd === 0) {
      const bytes = Buffer.from(text);
      // Written by position, so that reading starts at the beginning.
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
      return undefined;
    }
    if (fd !== undefined) closeSync(fd);
  }
  openSync('/dev/null', 'r');
  return 'no file for them could be made, neither in /dev/shm nor in the folder for temporary files';
}

function openNameless(folder: string): number | undefined {
  const path = join(folder, `vitrine-${randomUUID()}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  } catch {
    return undefined;
  }
}

function takeSecrets(variables: NodeJS.ProcessEnv): void {
  Object.assign(variables, JSON.parse(readFileSync(0, 'utf8')));
  delete variables[marker];
  closeSync(0);
  // Descriptor 0 must not be reused for the next file that is opened: libraries treat it as standard input.
  openSync('/dev/null', 'r');
}
