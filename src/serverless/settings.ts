import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, type Environment, loadConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';

/** Returns defaults for settings whose usual defaults are unsuitable for a serverless function. */
function makeServerlessDefaults(): Environment {
  return {
    // A function is public, and a blueprint that anyone can deploy must never come up open.
    AUTH: 'keys',
    // The temporary folder is the only writable folder.
    DATA_DIR: join(tmpdir(), 'vitrine'),
    // Many instances share the connection limit of one database server.
    DATABASE_POOL_SIZE: '4',
    // The usual default of a minute exceeds the time limit of a request.
    DATABASE_WAIT_SECONDS: '5',
  };
}

/**
 * Loads the configuration of a serverless function. Instances share neither a disk nor a process, so a database server
 * and a bucket are required. There is no shared queue, because there are no workers to notify of new jobs.
 * @throws {ConfigError} with a message that lists every missing, invalid or unsafe setting.
 */
export function loadServerlessConfig(environment: Environment): Config {
  const definedSettings = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value?.trim()),
  );
  const missingProblems = describeMissingSettings(definedSettings);
  try {
    const config = loadConfig({ ...makeServerlessDefaults(), ...definedSettings }, { isServerless: true });
    const problems = missingProblems.concat(config.access.problems);
    if (problems.length > 0) throw new ConfigError(problems);
    return { ...config, queue: { kind: 'in-process' } };
  } catch (error) {
    if (!(error instanceof ConfigError) || missingProblems.length === 0) throw error;
    const missingNames = new Set(missingProblems.map(getSettingName));
    const otherProblems = error.problems.filter((problem) => !missingNames.has(getSettingName(problem)));
    throw new ConfigError([...missingProblems, ...otherProblems]);
  }
}

/** Returns the setting name at the start of a problem. */
function getSettingName(problem: string): string {
  return /^[A-Z\d_]+/.exec(problem)?.[0] ?? '';
}

function describeMissingSettings(settings: Environment): string[] {
  const isAnySet = (...names: string[]) => names.some((name) => settings[name] !== undefined);
  const isOpen = settings['AUTH']?.trim().toLowerCase() === 'open';
  const isS3 = settings['STORAGE_TYPE']?.trim().toLowerCase() === 's3';
  return [
    // The second name is an alias of the first, from an older service.
    isAnySet('DATABASE_URL', 'THUMBFORGE_DATABASE_URL', 'POSTGRES_HOST')
      ? []
      : ['DATABASE_URL: not set; a function needs a PostgreSQL server.'],
    isS3 ? [] : ['STORAGE_TYPE: must be s3; a function has no persistent disk.'],
    isAnySet('S3_BUCKET') ? [] : ['S3_BUCKET: not set; a function stores images in a bucket.'],
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'].map((name) =>
      isAnySet(name) ? [] : [`${name}: not set; the bucket needs credentials.`],
    ),
    isOpen || isAnySet('SECRET_KEY')
      ? []
      : ['SECRET_KEY: not set; API keys need a secret: generate one with "openssl rand -hex 32".'],
  ].flat();
}
