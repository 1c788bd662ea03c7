import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { openRing } from '../../app/open-access.ts';
import type { Config } from '../../config.ts';
import { systemHasFileModes } from '../../data-folder/private-folder.ts';
import { operatorKeyFile, secretKeyFile } from '../../data-folder/secret-file.ts';
import type { ApiKeyQueries, KeyCounts } from '../../db/api-keys.ts';
import { describeUnusableKeys, unusableKeysRemedy } from '../../services/access/api-keys.ts';
import { openKeyManager } from '../keys/key-manager.ts';
import { AccessDenied, makeApiClient } from '../api-client.ts';
import type { Finding } from './finding.ts';

const subject = 'access';

/** Checks who may use the server, and whether its secrets are safe. The keys are checked by `checkKeys`. */
export function checkAccess(config: Config): Finding[] {
  return [...checkMode(config), ...checkSecretFiles(config)];
}

function checkMode({ access, server, dataDir }: Config): Finding[] {
  if (access.problems.length > 0)
    return access.problems.map((state) => ({
      subject,
      state,
      remedy: 'A server with these settings does not start: see docs/access.md.',
    }));
  if (access.mode === 'keys') {
    const count = access.secretKeys.length;
    const source =
      count === 0
        ? `the secret is in ${join(dataDir, secretKeyFile)}`
        : `${count === 1 ? 'one secret' : `${count} secrets`} in SECRET_KEY`;
    return [{ subject, state: `AUTH=keys: requests need an API key; ${source}` }];
  }
  // Otherwise, the notes at the end of the report contain a warning.
  if (server.isExposed) return [];
  return [{ subject, state: 'AUTH=open: no access control, but only this machine can reach the server' }];
}

/** Checks that no other user of this machine can read the files that contain secrets. */
function checkSecretFiles({ dataDir }: Config): Finding[] {
  if (!systemHasFileModes) return [];
  const paths = [join(dataDir, secretKeyFile), join(dataDir, operatorKeyFile), resolve('.env')];
  return paths.flatMap((path) => {
    const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0;
    if ((mode & 0o077) === 0) return [];
    const state = `other users of this machine may read ${path} (mode ${mode.toString(8).padStart(4, '0')})`;
    return [{ subject, state, remedy: `Run chmod 600 ${path}.`, isWarning: true }];
  });
}

/**
 * Checks that someone can create keys, and that the bootstrap key is not kept longer than needed.
 */
export async function checkKeys(
  config: Config,
  apiKeys: Pick<ApiKeyQueries, 'hasManagingKey' | 'countActive'>,
): Promise<Finding[]> {
  const { access } = config;
  if (access.mode === 'open' || access.secretProblems.length > 0) return [];
  const secretIds = readSecretIds(config);
  const counts = await apiKeys.countActive(secretIds);
  const state = describeUnusableKeys(counts);
  const isWarning = counts.unusable < counts.active;
  const unusable = state === undefined ? [] : [{ subject, state, remedy: unusableKeysRemedy, isWarning }];
  if (state !== undefined && !isWarning) return unusable;
  const canManage = await apiKeys.hasManagingKey(secretIds);
  return [...unusable, ...checkOutdatedKeys(counts), ...checkManagingKey(config, canManage)];
}

function checkOutdatedKeys({ active, outdated }: KeyCounts): Finding[] {
  if (outdated === 0) return [];
  const keys = active === 1 ? 'The only active API key' : `${outdated} of ${active} active API keys`;
  return [
    {
      subject,
      state: `${keys} still ${outdated === 1 ? 'needs' : 'need'} an old secret`,
      remedy:
        'Keep the old secret in SECRET_KEY until these keys were used or replaced; vitrine keys list shows them.',
      isWarning: true,
    },
  ];
}

/** Returns the ids of the secrets that a server would use. Unlike a server, generates none, because a check must not. */
function readSecretIds(config: Config): readonly string[] {
  const hasSecret = config.access.secretKeys.length > 0 || existsSync(join(config.dataDir, secretKeyFile));
  return hasSecret ? openRing(config).ids : [];
}

function checkManagingKey({ access }: Config, canManage: boolean): Finding[] {
  const hasBootstrapKey = access.bootstrapAdminKey !== undefined;
  const isWarning = true;
  const create = 'vitrine keys create --name ops --role admin';
  if (canManage)
    return hasBootstrapKey
      ? [
          {
            subject,
            state: 'BOOTSTRAP_ADMIN_KEY is set, although an API key can create others',
            remedy: 'Unset BOOTSTRAP_ADMIN_KEY and restart every process.',
            isWarning,
          },
        ]
      : [{ subject, state: 'an API key of all tenants can create others' }];
  return hasBootstrapKey
    ? [
        {
          subject,
          state: 'only BOOTSTRAP_ADMIN_KEY can create API keys',
          remedy: `Create a key with ${create}, then unset BOOTSTRAP_ADMIN_KEY.`,
          isWarning,
        },
      ]
    : [{ subject, state: 'no API key can create others', remedy: `Run ${create}.`, isWarning }];
}

/** Checks that the running server has the same access mode as this command, and so presumably the same settings. */
export async function checkModeOfServer({ access }: Config, url: string): Promise<Finding[]> {
  const client = makeApiClient({ baseUrl: url });
  try {
    await client.getJson('/v1/images?limit=1', z.unknown());
    if (access.mode === 'open') return [];
  } catch (error) {
    const isDenied = error instanceof AccessDenied;
    if (!isDenied || access.mode === 'keys') return [];
  }
  const serverMode = access.mode === 'open' ? 'requires an API key' : 'requires no API key';
  return [
    {
      subject,
      state: `the running server ${serverMode}, but AUTH is ${access.mode} in the settings of this command`,
      remedy: 'Put the settings of the server, such as AUTH and PUBLIC_URL, into the .env file.',
    },
  ];
}

/** Like `checkKeys`, for the database of a running server, which only this server can read. */
export async function checkKeysOfServer(config: Config): Promise<Finding[]> {
  if (config.access.mode === 'open') return [];
  try {
    const manager = await openKeyManager(config, undefined);
    const keys = await manager.list();
    await manager.close();
    const now = Date.now();
    const active = keys.filter(
      ({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt.getTime() > now),
    );
    const unusable = active.filter(({ hasSecret }) => !hasSecret).length;
    const outdated = active.filter(({ hasSecret, hasNewestSecret }) => hasSecret && !hasNewestSecret).length;
    const canManage = active.some(
      ({ tenant, scopes, hasSecret }) => hasSecret && tenant === null && scopes.includes('keys.manage'),
    );
    return await checkKeys(config, {
      hasManagingKey: () => Promise.resolve(canManage),
      countActive: () => Promise.resolve({ active: active.length, unusable, outdated }),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const state = `the API keys of the running server cannot be listed: ${reason}`;
    return [{ subject, state, remedy: 'Run this command as the user of the server.', isWarning: true }];
  }
}
