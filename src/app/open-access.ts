import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import { ensureSecretKey, publishOperatorKey, removeOperatorKey } from '../data-folder/secret-file.ts';
import type { OperatorKey } from '../services/access/authenticate.ts';
import { makeSecretRing, type SecretRing } from '../services/access/secret-ring.ts';
import { isOnlyProcess } from './exclusive-use.ts';

/** The secrets behind API keys, and the keys that are not stored in the database. */
export interface Access {
  readonly ring: SecretRing;
  readonly operatorKeys: readonly OperatorKey[];
  /** The key of commands that run on this machine. */
  readonly localKey: string;
  close(): void;
}

/**
 * Loads the secrets. With the embedded database, whose data folder must be locked, generates missing ones and publishes the
 * key of commands in the data folder.
 */
export function openAccess(config: Config): Access {
  const { dataDir } = config;
  const { bootstrapAdminKey } = config.access;
  const ownsFolder = isOnlyProcess(config) && config.access.mode === 'keys';
  const localKey = ownsFolder ? publishOperatorKey(dataDir) : randomSecret();
  const operatorKeys = [{ subject: 'operator on this machine', key: localKey }];
  if (bootstrapAdminKey !== undefined)
    operatorKeys.push({ subject: 'BOOTSTRAP_ADMIN_KEY', key: bootstrapAdminKey });
  return {
    ring: openRing(config),
    operatorKeys,
    localKey,
    close: () => {
      if (ownsFolder) removeOperatorKey(dataDir);
    },
  };
}

/** Loads the secrets of `SECRET_KEY`. With the embedded database, they are generated if the setting is empty. */
export function openRing(config: Config): SecretRing {
  const { secretKeys } = config.access;
  if (secretKeys.length > 0) return makeSecretRing(secretKeys);
  return makeSecretRing([isOnlyProcess(config) ? ensureSecretKey(config.dataDir) : randomSecret()]);
}

function randomSecret(): string {
  return randomBytes(32).toString('hex');
}
