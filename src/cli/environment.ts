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
export interface ProcessEnvironment {
  readonly variables: NodeJS.ProcessEnv;
  /** A warning for the log if other processes can still read secrets in this process's environment block. */
  readonly warning: string | undefined;
}

/** Name of a variable that is set after re-execution. Standard input is then a file that contains the secrets. */
const reexecutedMarker = 'VITRINE_SECRETS_ON_STDIN';

/**
 * Reads the environment. No other code accesses `process.env`. Variables that are already set take precedence over the
 * `.env` file.
 *
 * Every process of the same user can read the initial environment block of a running process in `/proc/<pid>/environ`.
 * Removing a variable later does not change that block. If the block contains secrets, this function re-executes the
 * program without them and does not return. The process id stays the same, so supervisors are unaffected. The
 * re-executed program restores the secrets to `process.env`, which stores new values on the heap.
 */
export function readEnvironment(): ProcessEnvironment {
  // oxlint-disable-next-line node/no-process-env -- see above
  const variables = process.env;
  const isReexecuted = variables[reexecutedMarker] !== undefined;
  if (isReexecuted) restoreSecrets(variables);
  const warning = isReexecuted ? undefined : reexecuteWithout(findSecrets(variables), variables);
  if (existsSync('.env')) loadEnvFile('.env');
  return { variables, warning };
}

const secretNamePattern =
  /SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATE|(^|_)(API|ACCESS)?_?KEYS?($|_)/i;
const secretValuePattern = /:\/\/\S*:\S*@|[?&;\s]password=/i;

/** Returns the variables that probably contain secrets, judging by their names or by passwords in their values. */
export function findSecrets(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => {
      const [name, value = ''] = entry;
      return value !== '' && (secretNamePattern.test(name) || secretValuePattern.test(value));
    }),
  );
}

/** Re-executes this process without `secrets` in its environment block. Returns a warning if that is impossible. */
function reexecuteWithout(secrets: Record<string, string>, variables: NodeJS.ProcessEnv): string | undefined {
  const names = Object.keys(secrets);
  if (names.length === 0) return undefined;
  const obstacle = findReexecutionObstacle() ?? replaceStdin(JSON.stringify(secrets));
  if (obstacle !== undefined) {
    return `Other processes of this user, such as a compromised decoder, can read ${names.join(', ')} in the environment of this process. Vitrine cannot remove them, because ${obstacle}.`;
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
 * Returns the reason why re-execution is impossible, if there is one. The caller must call this function before execve,
 * because a failing execve aborts the process.
 */
function findReexecutionObstacle(): string | undefined {
  if (process.platform === 'win32' || process.execve === undefined) {
    return 'this system cannot re-execute a running process';
  }
  // If a supervisor forked this process, execve would close the IPC channel between them, and Node would not
  // start without that channel.
  if (process.send !== undefined) return 'the process would lose its IPC channel if it were re-executed';
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
 * behind. Returns the reason if the file cannot be created.
 */
function replaceStdin(text: string): string | undefined {
  closeSync(0);
  for (const folder of ['/dev/shm', tmpdir()]) {
    const fd = openUnlinked(folder);
    if (fd === 0) {
      const bytes = Buffer.from(text);
      // Positional writes leave the file offset at 0, where the new process starts reading.
      for (let position = 0; position < bytes.length; )
        position += writeSync(fd, bytes, position, bytes.length - position, position);
      return undefined;
    }
    if (fd !== undefined) closeSync(fd);
  }
  openSync('/dev/null', 'r');
  return 'no temporary file for these variables could be created in /dev/shm or the temporary folder';
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
  // The next opened file must not get descriptor 0, because libraries treat descriptor 0 as standard input.
  openSync('/dev/null', 'r');
}
