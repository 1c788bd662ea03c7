import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, ConfigError, type Environment, loadConfig } from '../config.ts';

/** Returns defaults for settings whose normal defaults do not suit a function. */
function serverlessDefaults(): Environment {
  return {
    // The temporary folder is the only writable one.
    DATA_DIR: join(tmpdir(), 'vitrine'),
    // Many instances share the connections of one database server.
    DATABASE_POOL_SIZE: '4',
    // The normal default of a minute exceeds the time limit of a request.
    DATABASE_WAIT_SECONDS: '5',
  };
}

/**
 * Loads the configuration of a function. Instances share neither a disk nor a process, so a database server and a
 * bucket are required. There are no workers to notify of new jobs, so there is no shared queue.
 * @throws {ConfigError} that names every missing or invalid setting.
 */
export function loadServerlessConfig(environment: Environment): Config {
  const definedSettings = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value?.trim()),
  );
  const missing = findMissingSettings(definedSettings);
  try {
    // A function is public, regardless of HOST.
    const config = loadConfig({ ...serverlessDefaults(), ...definedSettings, HOST: '0.0.0.0' });
    if (missing.length > 0) throw new ConfigError(missing);
    return { ...config, queue: { kind: 'in-process' } };
  } catch (error) {
    if (!(error instanceof ConfigError) || missing.length === 0) throw error;
    const missingNames = new Set(missing.map(getSettingName));
    const others = error.problems.filter((problem) => !missingNames.has(getSettingName(problem)));
    throw new ConfigError([...missing, ...others]);
  }
}

/** Returns the name of the setting that a problem starts with. */
function getSettingName(problem: string): string {
  return problem.split(':', 1)[0] ?? '';
}

function findMissingSettings(settings: Environment): string[] {
  const has = (...names: string[]) => names.some((name) => settings[name] !== undefined);
  const isS3 = settings['STORAGE_TYPE']?.trim().toLowerCase() === 's3';
  return [
    has('DATABASE_URL', 'THUMBFORGE_DATABASE_URL', 'POSTGRES_HOST')
      ? []
      : ['DATABASE_URL: is not set; a function needs a PostgreSQL server.'],
    isS3 ? [] : ['STORAGE_TYPE: is not s3; a function has no persistent disk.'],
    has('S3_BUCKET') ? [] : ['S3_BUCKET: is not set; a function stores images in a bucket.'],
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) =>
      has(name) ? [] : [`${name}: is not set; the bucket needs credentials.`],
    ),
  ].flat();
}
