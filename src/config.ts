import { ConfigError } from './errors.ts';
import { resolve } from 'node:path';
import { type AccessConfig, composeAccess, findAccessWarnings } from './config/access.ts';
import {
  composeDatabase,
  composeQueue,
  composeStorage,
  type DatabaseConfig,
  findBackEndProblems,
  findBackEndWarnings,
  type QueueConfig,
  type StorageConfig,
} from './config/back-ends.ts';
import {
  composeConfirmToken,
  composeExposure,
  defaultConfirmToken,
  type Exposure,
  findExposureWarnings,
} from './config/exposure.ts';
import { parseYesNo } from './config/parsers.ts';
import type { Section, Setting } from './config/setting.ts';
import { settings, type SettingValues } from './config/settings.ts';
import type { Preset } from './model/preset.ts';

/** Sections of the configuration that are the same as in the settings table. */
type PlainSections = Omit<
  SettingValues,
  'data' | 'access' | 'database' | 'queue' | 'storage' | 'renditions' | 'log'
>;

/** The configuration of a process, read once. Each component receives only the sections that it needs. */
export interface Config extends PlainSections {
  readonly dataDir: string;
  readonly server: SettingValues['server'] & Exposure;
  readonly access: AccessConfig;
  readonly database: DatabaseConfig;
  readonly queue: QueueConfig;
  readonly storage: StorageConfig;
  readonly presets: readonly Preset[];
  readonly log: SettingValues['log'] & {
    /** Secrets that must not appear in the log, whoever sends them and wherever. */
    readonly secrets: readonly string[];
  };
  /** Warnings for the log, for example about settings that have no effect; one sentence each. */
  readonly warnings: readonly string[];
  /** Warnings about the server's exposure to other machines, one sentence each. */
  readonly exposureWarnings: readonly string[];
}

/** Environment variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration from `env`. Unknown variables are ignored.
 * @param isServerless whether a host calls a function for each request
 * @throws {ConfigError} with a message that lists every invalid variable and the accepted values.
 */
export function loadConfig(env: Environment, { isServerless = false } = {}): Config {
  const problems: string[] = [];
  const values = readSettings(env, problems);
  problems.push(...findBackEndProblems(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return composeConfig(values, isServerless);
}

/** Reads all settings. Adds a sentence to `problems` for each invalid variable and sets its value to `undefined`. */
function readSettings(env: Environment, problems: string[]): SettingValues {
  const readSection = (section: Section) =>
    Object.entries(section).map(([key, setting]) => [key, readSetting(env, setting, problems)]);
  const sections = Object.entries<Section>(settings);
  return Object.fromEntries(
    sections.map(([key, section]) => [key, Object.fromEntries(readSection(section))]),
  ) as SettingValues;
}

function readSetting(env: Environment, setting: Setting<unknown>, problems: string[]): unknown {
  const name = [setting.name, ...setting.aliases].find((candidate) => env[candidate]?.trim());
  const text = (name && env[name]) ?? setting.fallback;
  if (text === undefined) return undefined;
  try {
    return setting.parser.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const value = setting.isSecret ? 'its value' : `"${text}"`;
    problems.push(`${name ?? setting.name}: ${value} ${reason}. Accepted: ${setting.parser.accepts}.`);
    return undefined;
  }
}

function composeConfig(values: SettingValues, isServerless: boolean): Config {
  const {
    worker,
    decoder,
    requests,
    uploads,
    quotas,
    overload,
    imports,
    similarity,
    delivery,
    retention,
    server,
    purge,
    log,
  } = values;
  const database = composeDatabase(values);
  const exposure = composeExposure(values, isServerless);
  return {
    worker,
    decoder,
    requests,
    uploads,
    quotas,
    overload,
    imports,
    similarity,
    delivery,
    retention,
    dataDir: resolve(values.data.dir),
    server: { ...server, ...exposure },
    access: composeAccess(values, exposure),
    database,
    queue: composeQueue(values, database),
    storage: composeStorage(values),
    presets: composePresets(values.renditions),
    purge: { ...purge, confirmToken: composeConfirmToken(values, exposure) },
    log: {
      ...log,
      level: parseYesNo(log.debug ?? '') ? 'debug' : log.level,
      secrets: listSecrets(values),
    },
    warnings: [...findBackEndWarnings(values), ...findAccessWarnings(values)],
    exposureWarnings: findExposureWarnings(values, exposure),
  };
}

function composePresets({
  presets,
  thumbnailSize,
  keepMetadata,
}: SettingValues['renditions']): readonly Preset[] {
  return presets.map((preset) => ({
    ...preset,
    ...(preset.name === 'thumb' && thumbnailSize),
    keepMetadata,
  }));
}

/** Returns the configuration of a server that a command starts for itself, on a free port of the loopback address. */
export function makeLoopbackConfig(config: Config): Config {
  const { confirmToken = defaultConfirmToken } = config.purge;
  return {
    ...config,
    server: {
      ...config.server,
      host: '127.0.0.1',
      port: 0,
      isOnLoopback: true,
      allowedHosts: [],
      publicOrigin: undefined,
      isExposed: false,
    },
    // Other users of this machine can reach the server too, so it keeps its mode.
    access: { ...config.access, problems: [] },
    purge: { ...config.purge, confirmToken },
    exposureWarnings: [],
  };
}

/** A shorter text is not a secret, and may be a part of words in the log. */
const minRedactedLength = 8;

function listSecrets({ access, purge }: SettingValues): string[] {
  return [...access.secretKeys, access.bootstrapAdminKey, access.apiKey, purge.confirmToken].filter(
    (secret): secret is string => secret !== undefined && secret.length >= minRedactedLength,
  );
}
