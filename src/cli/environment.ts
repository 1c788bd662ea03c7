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

/** The environment variables of this process. */
export interface Environment {
  readonly variables: NodeJS.ProcessEnv;
  /** A sentence for the log if secrets remain readable in the environment block of this process. */
  readonly warning: string | undefined;
}

/**
 * Name of a variable that is set after re-execution. The secrets are then in the file that is open as standard input.
 */
const reexecutedMarker = 'VITRINE_SECRETS_ON_STDIN';

/**
 * Reads the environment; no other code does. Variables that are already set take precedence over the `.env` file.
 *
 * Every process of the same user can read the initial environment block of a running process in `/proc/<pid>/environ`;
 * removing a variable later does not change it. If the block contains secrets, this function re-executes the program
 * with a block without them and does not return. The process id stays the same, so supervisors are unaffected. After
 * re-execution, the function restores the secrets to `process.env`, which Node keeps on the heap.
 */
export function readEnvironment(): Environment {
  // oxlint-disable-next-line node/no-process-env -- see above
  const variables = process.env;
  const isReexecuted = variables[reexecutedMarker] !== undefined;
  if (isReexecuted) restoreSecrets(variables);
  const warning = isReexecuted ? undefined : reexecuteWithout(findSecrets(variables), variables);
  if (existsSync('.env')) loadEnvFile('.env');
  return { variables, warning };
}

const secretNames =
  /SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)?_?KEYS?($|_)/i;
const secretValues = /:\/\/\S*:\S*@|[?&;\s]password=/i;

/** Returns the variables that are likely secrets, based on their name or because their value contains a password. */
export function findSecrets(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => {
      const [name, value = ''] = entry;
      return value !== '' && (secretNames.test(name) || secretValues.test(value));
    }),
  );
}

/** Re-executes this process without `secrets` in its environment block. Returns the reason if that is impossible. */
function reexecuteWithout(secrets: Record<string, string>, variables: NodeJS.ProcessEnv): string | undefined {
  const names = Object.keys(secrets);
  if (names.length === 0) return undefined;
  const obstacle = findObstacle() ?? replaceStdin(JSON.stringify(secrets));
  if (obstacle !== undefined) {
    return `Other processes of this user, such as a compromised decoder, can read ${names.join(', ')} in the environment of this process: ${obstacle}.`;
  }
  const publicVariables = Object.fromEntries(
    Object.entries(variables).filter(([name]) => !Object.hasOwn(secrets, name)),
  );
  const [, script = ''] = process.argv;
  const args = [process.execPath, ...process.execArgv, script, ...process.argv.slice(2)];
  // Node warns that execve is experimental, but the warning is never printed, because execve replaces the process
  // first.
  return process.execve?.(process.execPath, args, { ...publicVariables, [reexecutedMarker]: '1' });
}

/**
 * Returns what would prevent re-execution, if anything. Must be checked, because a failing execve aborts the process.
 */
function findObstacle(): string | undefined {
  if (process.platform === 'win32' || process.execve === undefined) {
    return 'this system cannot re-execute a running process';
  }
  // If a supervisor forked this process, execve would close their IPC channel, without which Node does not start.
  if (process.send !== undefined) return 'its IPC channel would be lost';
  if (!isExecutable(process.execPath)) return `${process.execPath} is not executable`;
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Replaces standard input with an unlinked file that contains `text`, because only descriptors 0, 1 and 2 survive
 * Node's execve. The file is unlinked before it is written, so that no other process can open it and no crash leaves it
 * behind. Returns the reason if no file could be created.
 */
function replaceStdin(text: string): string | undefined {
  closeSync(0);
  for (const folder of ['/dev/shm', tmpdir()]) {
    const fd = openUnlinked(folder);
    if (fd === 0) {
      const bytes = Buffer.from(text);
      // Positional writes leave the file offset at 0, where the new process starts reading.
      for (let written = 0; written < bytes.length; )
        written += writeSync(fd, bytes, written, bytes.length - written, written);
      return undefined;
    }
    if (fd !== undefined) closeSync(fd);
  }
  openSync('/dev/null', 'r');
  return 'no file to pass them on could be created in /dev/shm or the temporary folder';
}

function openUnlinked(folder: string): number | undefined {
  const path = join(folder, `vitrine-${randomUUID()}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  } catch {
    return undefined;
  }
}

function restoreSecrets(variables: NodeJS.ProcessEnv): void {
  Object.assign(variables, JSON.parse(readFileSync(0, 'utf8')));
  delete variables[reexecutedMarker];
  closeSync(0);
  // The next file opened must not get descriptor 0: libraries treat it as standard input.
  openSync('/dev/null', 'r');
}
