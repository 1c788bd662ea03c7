import { resolve } from 'node:path';
import {
  composeDatabase,
  composeQueue,
  composeStorage,
  type DatabaseConfig,
  engineProblems,
  engineWarnings,
  type QueueConfig,
  type StorageConfig,
} from './config/engines.ts';
import {
  composeConfirmToken,
  composeExposure,
  documentedConfirmToken,
  type Exposure,
  exposureWarnings,
} from './config/exposure.ts';
import { type LogLevel, readYesNo } from './config/readers.ts';
import type { Setting } from './config/setting.ts';
import { settings, type SettingValues } from './config/settings.ts';
import type { AllowedNetwork } from './model/allowed-network.ts';
import type { DuplicateHandling, NearDuplicateHandling } from './model/duplicates.ts';
import type { PictureLimits } from './model/picture.ts';
import type { Preset } from './model/preset.ts';

/** The configuration of one process, read once; each part receives its own section only. */
export interface Config {
  readonly dataDir: string;
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly maxConnections: number;
    readonly maxConnectionsPerAddress: number;
    readonly requestMs: number;
    readonly bodyIdleMs: number;
    readonly responseStallMs: number;
    readonly inlineMs: number;
    readonly shutdownMs: number;
    readonly readCacheBytes: number;
    readonly corsOrigins: readonly string[] | '*';
    /** Networks in CIDR notation. */
    readonly trustedProxies: readonly string[];
  } & Exposure;
  readonly database: DatabaseConfig;
  readonly queue: QueueConfig;
  readonly storage: StorageConfig;
  readonly worker: {
    readonly enabled: boolean;
    readonly concurrency: number;
    readonly leaseSeconds: number;
    /** Where a process that serves no requests answers those that watch it. */
    readonly port: number | undefined;
  };
  readonly decoder: {
    readonly timeoutMs: number;
    readonly probeTimeoutMs: number;
    readonly memoryMb: number;
    readonly recycleAfterJobs: number;
    /** Program and arguments in front of a child's Node; empty for none. */
    readonly launcher: readonly string[];
  };
  readonly uploads: { readonly maxBytes: number; readonly picture: PictureLimits };
  readonly imports: {
    readonly allowedNetworks: readonly AllowedNetwork[];
    readonly maxRedirects: number;
    readonly duplicateHandling: DuplicateHandling;
    readonly concurrency: number;
    readonly connectMs: number;
    readonly idleMs: number;
    readonly totalMs: number;
  };
  readonly presets: readonly Preset[];
  readonly similarity: {
    readonly nearDuplicates: NearDuplicateHandling;
    /** Largest distance of near-duplicates' hashes, of 64 bits. */
    readonly hashThreshold: number;
    /** Least score of a similar image, where a request names none. */
    readonly threshold: number;
    /** Most similar images, where a request names no limit. */
    readonly maxResults: number;
  };
  /** Retention of rows that nothing needs any more, in days. */
  readonly retention: {
    readonly completedJobDays: number;
    readonly failedJobDays: number;
    readonly importDays: number;
    readonly emptyTenantDays: number;
  };
  readonly purge: { readonly days: number; readonly confirmToken: string | undefined };
  /** Sentences on settings that have no effect. */
  readonly warnings: readonly string[];
  /** Warnings about what a server with these settings exposes to others. */
  readonly exposureWarnings: readonly string[];
  readonly log: { readonly level: LogLevel; readonly format: 'auto' | 'json' | 'text' };
}

/** Thrown when variables are not understood: one sentence for each, all of them together. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
    );
    this.problems = problems;
  }
}

/** Variables by name, as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration from `env`. Unknown variables are ignored.
 * @throws {ConfigError} that names every variable which is not understood, and what it accepts.
 */
export function loadConfig(env: Environment): Config {
  const problems: string[] = [];
  const values = Object.fromEntries(
    Object.entries(settings).map(([key, setting]) => [key, readSetting(env, setting, problems)]),
  ) as SettingValues;
  problems.push(...engineProblems(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return composeConfig(values);
}

function readSetting(env: Environment, setting: Setting<unknown>, problems: string[]): unknown {
  const name = nameInUse(env, setting);
  const text = (name && env[name]) ?? setting.fallback;
  if (text === undefined) return undefined;
  try {
    return setting.reader.read(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const value = setting.isSecret ? 'its value' : `"${text}"`;
    problems.push(`${name ?? setting.name}: ${value} ${reason}; it takes ${setting.reader.accepts}.`);
    return undefined;
  }
}

/** The name under which a setting is set, its own or an older one. */
function nameInUse(env: Environment, { name, aliases }: Setting<unknown>): string | undefined {
  return [name, ...aliases].find((candidate) => env[candidate]?.trim());
}

function composeConfig(values: SettingValues): Config {
  const database = composeDatabase(values);
  const exposure = composeExposure(values);
  return {
    dataDir: resolve(values.dataDir),
    server: {
      host: values.host,
      port: values.port,
      maxConnections: values.maxConnections,
      maxConnectionsPerAddress: values.maxConnectionsPerAddress,
      requestMs: values.requestSeconds * 1000,
      bodyIdleMs: values.bodyIdleSeconds * 1000,
      responseStallMs: values.responseStallSeconds * 1000,
      inlineMs: values.inlineSeconds * 1000,
      shutdownMs: values.shutdownSeconds * 1000,
      readCacheBytes: values.readCacheMb * 2 ** 20,
      corsOrigins: values.corsOrigins,
      trustedProxies: values.trustedProxies,
      ...exposure,
    },
    database,
    queue: composeQueue(values, database),
    storage: composeStorage(values),
    worker: {
      enabled: values.enableWorker,
      concurrency: values.workerConcurrency,
      leaseSeconds: values.leaseSeconds,
      port: values.workerPort,
    },
    decoder: {
      timeoutMs: values.decodeTimeoutMs,
      probeTimeoutMs: values.probeTimeoutMs,
      memoryMb: values.decodeMemoryMb,
      recycleAfterJobs: values.poolRecycleJobs,
      launcher: values.decoderLauncher ?? [],
    },
    uploads: {
      maxBytes: values.maxUploadBytes,
      picture: {
        maxPixels: values.maxPixels,
        maxAvifPixels: values.maxAvifPixels,
        maxFrames: values.maxFrames,
        allowedFormats: values.allowedFormats,
      },
    },
    imports: {
      allowedNetworks: values.importAllowedNetworks,
      maxRedirects: values.importMaxRedirects,
      duplicateHandling: values.duplicateHandling,
      concurrency: values.importConcurrency,
      connectMs: values.importConnectSeconds * 1000,
      idleMs: values.importIdleSeconds * 1000,
      totalMs: values.importTotalSeconds * 1000,
    },
    presets: withThumbnailSize(values),
    similarity: {
      nearDuplicates: values.nearDuplicates,
      hashThreshold: values.hashThreshold,
      threshold: values.similarityThreshold,
      maxResults: values.maxSimilarResults,
    },
    retention: {
      completedJobDays: values.jobsKeepDays,
      failedJobDays: values.failedJobsKeepDays,
      importDays: values.importsKeepDays,
      emptyTenantDays: values.emptyTenantsKeepDays,
    },
    purge: { days: values.purgeDays, confirmToken: composeConfirmToken(values, exposure) },
    warnings: engineWarnings(values),
    exposureWarnings: exposureWarnings(values),
    log: {
      level: readYesNo(values.debug ?? '') ? 'debug' : values.logLevel,
      format: values.logFormat,
    },
  };
}

/** The same configuration for a server that one command starts for itself, on a free port that this machine alone reaches. */
export function forThisMachineAlone(config: Config): Config {
  const { confirmToken = documentedConfirmToken } = config.purge;
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
    purge: { ...config.purge, confirmToken },
    exposureWarnings: [],
  };
}

function withThumbnailSize({ presets, thumbnailSize }: SettingValues): readonly Preset[] {
  if (!thumbnailSize) return presets;
  return presets.map((preset) => (preset.name === 'thumb' ? { ...preset, ...thumbnailSize } : preset));
}
