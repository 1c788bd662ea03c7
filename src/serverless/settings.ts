import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, ConfigError, type Environment, loadConfig } from '../config.ts';

/** Settings whose usual defaults do not fit a function: its disk is small, and the world reaches it. */
function serverlessDefaults(): Environment {
  return {
    // The only folder that may be written to.
    DATA_DIR: join(tmpdir(), 'vitrine'),
    // There may be many instances, and the server has connections for all of them together.
    DATABASE_POOL_SIZE: '4',
    // A request ends long before a minute is over.
    DATABASE_WAIT_SECONDS: '5',
  };
}

/**
 * Reads the configuration of a function. Other instances share neither a disk nor a process, so a database server and a
 * bucket are needed; nobody waits to be woken up, so there is no queue.
 * @throws {ConfigError} that names every setting which is missing or not understood.
 */
export function loadServerlessConfig(environment: Environment): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const missing = missingSettings(given);
  try {
    // There is no listening address, and the function is public, regardless of HOST.
    const config = loadConfig({ ...serverlessDefaults(), ...given, HOST: '0.0.0.0' });
    if (missing.length > 0) throw new ConfigError(missing);
    return { ...config, queue: { kind: 'in-process' } };
  } catch (error) {
    if (!(error instanceof ConfigError) || missing.length === 0) throw error;
    const named = new Set(missing.map(nameIn));
    throw new ConfigError([...missing, ...error.problems.filter((problem) => !named.has(nameIn(problem)))]);
  }
}

/** The setting that a problem begins with. */
function nameIn(problem: string): string {
  return problem.split(':', 1)[0] ?? '';
}

function missingSettings(given: Environment): string[] {
  const has = (...names: string[]) => names.some((name) => given[name] !== undefined);
  const isS3 = given['STORAGE_TYPE']?.trim().toLowerCase() === 's3';
  return [
    has('DATABASE_URL', 'THUMBFORGE_DATABASE_URL', 'POSTGRES_HOST')
      ? []
      : ['DATABASE_URL: is not set; a function needs a PostgreSQL server.'],
    isS3 ? [] : ['STORAGE_TYPE: is not s3; the disk of a function does not last.'],
    has('S3_BUCKET') ? [] : ['S3_BUCKET: is not set; pictures need a bucket.'],
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) =>
      has(name) ? [] : [`${name}: is not set; the bucket needs a key.`],
    ),
  ].flat();
}
