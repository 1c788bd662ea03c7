import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, ConfigError, type Environment, loadConfig } from '../config.ts';

/** Settings whose normal defaults do not suit a function. */
function serverlessDefaults(): Environment {
  return {
    // The only writable folder.
    DATA_DIR: join(tmpdir(), 'vitrine'),
    // Many instances share the connections of the database server.
    DATABASE_POOL_SIZE: '4',
    // A request times out before the normal default of a minute.
    DATABASE_WAIT_SECONDS: '5',
  };
}

/**
 * Loads the configuration of a function. Instances share neither a disk nor a process, so a database server and a bucket
 * are required. No worker waits for wake-ups, so there is no shared queue.
 * @throws {ConfigError} that names every missing or invalid setting.
 */
export function loadServerlessConfig(environment: Environment): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const missing = missingSettings(given);
  try {
    // A function is public, regardless of HOST.
    const config = loadConfig({ ...serverlessDefaults(), ...given, HOST: '0.0.0.0' });
    if (missing.length > 0) throw new ConfigError(missing);
    return { ...config, queue: { kind: 'in-process' } };
  } catch (error) {
    if (!(error instanceof ConfigError) || missing.length === 0) throw error;
    const missingNames = new Set(missing.map(settingName));
    const others = error.problems.filter((problem) => !missingNames.has(settingName(problem)));
    throw new ConfigError([...missing, ...others]);
  }
}

/** Returns the setting name at the start of a problem. */
function settingName(problem: string): string {
  return problem.split(':', 1)[0] ?? '';
}

function missingSettings(given: Environment): string[] {
  const has = (...names: string[]) => names.some((name) => given[name] !== undefined);
  const isS3 = given['STORAGE_TYPE']?.trim().toLowerCase() === 's3';
  return [
    has('DATABASE_URL', 'THUMBFORGE_DATABASE_URL', 'POSTGRES_HOST')
      ? []
      : ['DATABASE_URL: is not set; a function needs a PostgreSQL server.'],
    isS3 ? [] : ['STORAGE_TYPE: is not s3; the disk of a function is not persistent.'],
    has('S3_BUCKET') ? [] : ['S3_BUCKET: is not set; a function stores pictures in a bucket.'],
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) =>
      has(name) ? [] : [`${name}: is not set; the bucket needs credentials.`],
    ),
  ].flat();
}
