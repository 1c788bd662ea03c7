import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Only the owner may read and write. */
const privateMode = 0o600;

/** Random bytes of a secret. */
const secretBytes = 32;

/** The secret that hashes API keys and signs links, if `SECRET_KEY` is not set. It must survive restarts. */
export const secretKeyFile = 'secret-key';

/** The key of commands that run on the same machine as the server. Each server start replaces it. */
export const operatorKeyFile = 'operator-key';

/** Returns the secret kept in the data folder. Generates it on first use. */
export function ensureSecretKey(folder: string): string {
  const path = join(folder, secretKeyFile);
  const existing = readSecret(path);
  if (existing !== undefined) return existing;
  const secret = randomBytes(secretBytes).toString('hex');
  // Written in full before it gets its name, so that a crash cannot leave half a secret.
  const draft = `${path}.${process.pid}`;
  writeSecret(draft, secret);
  linkSync(draft, path);
  rmSync(draft);
  return secret;
}

/** Generates the key of commands on this machine and keeps it in the data folder. */
export function publishOperatorKey(folder: string): string {
  const key = randomBytes(secretBytes).toString('hex');
  const path = join(folder, operatorKeyFile);
  rmSync(path, { force: true });
  writeSecret(path, key);
  return key;
}

/** Returns the key that a running server has published; `undefined` if there is none or this user may not read it. */
export function readOperatorKey(folder: string): string | undefined {
  return readSecret(join(folder, operatorKeyFile));
}

/** Removes the published key. */
export function removeOperatorKey(folder: string): void {
  rmSync(join(folder, operatorKeyFile), { force: true });
}

function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

function writeSecret(path: string, secret: string): void {
  const file = openSync(path, 'wx', privateMode);
  try {
    chmodSync(path, privateMode);
    writeSync(file, `${secret}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
