import { type AvailabilityLog, makeAvailabilityLog } from '../availability-log.ts';
import type { PresetQueries, StoredPresets } from '../db/presets.ts';
import { AppError } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import { describePresetChanges, findPresetChanges, type PresetChanges } from '../model/preset-changes.ts';
import type { Preset } from '../model/preset.ts';
import { runUnbound } from '../tenant-scope.ts';
import type { PresetsInForce } from './presets-in-force.ts';
import { parseStoredPresets } from './stored-presets.ts';

/**
 * What a process does with its own presets at its start. `decide`: they become those in force. `follow`: they only count if
 * no process has registered presets yet.
 */
export type PresetRole = 'decide' | 'follow';

/** The presets in force, as this process follows them. */
export interface FollowedPresets extends PresetsInForce {
  /** Whether this process understands the presets in force. If not, it must make no renditions. */
  isUnderstood(): boolean;
  /** Reads the presets in force if the last time was more than `maxAgeMs` ago. Never rejects. */
  refresh(maxAgeMs: number): Promise<void>;
  /** Reads the presets in force every five seconds. */
  start(): void;
  stop(): void;
}

interface Dependencies {
  readonly queries: Pick<PresetQueries, 'find' | 'register'>;
  /** The presets of this process. */
  readonly configured: readonly Preset[];
  readonly role: PresetRole;
  /** Version of this program. */
  readonly programVersion: string;
  readonly logger: Logger;
  readonly pollMs?: number;
}

/** Interval between two reads. */
const defaultPollMs = 5_000;

/** Renditions are made with presets that were read at most this long ago. */
const maxRenderingAgeMs = 1_000;

interface State {
  readonly version: number;
  /** If the stored presets are not understood, those that were in force before. */
  readonly presets: readonly Preset[];
  /** The version of the program that registered presets which this process does not understand. */
  readonly newerProgram: string | undefined;
}

/**
 * Registers the presets of this process or reads those in force, according to its role, and then follows them.
 * @throws {DatabaseUnusable} or another error of the database.
 */
export async function openPresets(deps: Dependencies): Promise<FollowedPresets> {
  const { queries, configured, programVersion, logger, pollMs = defaultPollMs } = deps;
  const log = makePresetLog(deps);
  const availability = makeAvailabilityLog(logger, {
    level: 'warn',
    lost: 'failed to read the presets in force; using those read before',
    restored: 'reading the presets in force again',
  });
  const registration = await register(deps);
  let state = toState(registration.stored, configured);
  let readAt = performance.now();
  let currentRead: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  log.opened(state, registration.changes);

  async function read(): Promise<void> {
    const startedAt = performance.now();
    const stored = await findUnbound(queries, availability);
    if (stored === 'failed') return;
    readAt = startedAt;
    if (!stored || stored.version === state.version) return;
    state = toState(stored, state.presets);
    log.changed(state);
  }

  async function refresh(maxAgeMs: number): Promise<void> {
    if (performance.now() - readAt <= maxAgeMs) return;
    await (currentRead ??= read().finally(() => (currentRead = undefined)));
  }

  return {
    list: () => state.presets,
    find: (name) => state.presets.find((preset) => preset.name === name),
    version: () => state.version,
    warning: () => describeDifference(state, configured, programVersion),
    isUnderstood: () => state.newerProgram === undefined,
    async forRendering() {
      await refresh(maxRenderingAgeMs);
      if (state.newerProgram !== undefined)
        throw new AppError('unavailable', describeNewerPresets(state.newerProgram, programVersion));
      return state.presets;
    },
    refresh,
    start() {
      timer ??= setInterval(() => void refresh(0), pollMs);
    },
    stop: () => clearInterval(timer),
  };
}

/** Unbound, because the job or request that needs the presets may be bound to a tenant. */
async function findUnbound(
  queries: Pick<PresetQueries, 'find'>,
  availability: AvailabilityLog,
): Promise<StoredPresets | 'failed' | undefined> {
  try {
    const stored = await runUnbound(() => queries.find());
    availability.reportSuccess();
    return stored;
  } catch (error) {
    availability.reportFailure(error);
    return 'failed';
  }
}

/** Registers the presets of this process if that is its role. Returns those in force, and how it has changed them. */
async function register({ queries, configured, role, programVersion }: Dependencies) {
  let changes: PresetChanges | undefined;
  const stored = await queries.register(programVersion, (inForce) => {
    if (!inForce) return { presets: configured, changes: undefined };
    const presets = parseStoredPresets(inForce.presets);
    changes = role === 'decide' && presets ? findPresetChanges(presets, configured) : undefined;
    return changes && { presets: configured, changes };
  });
  return { stored, changes };
}

/** @param earlier the presets to keep if the stored ones are not understood */
function toState(stored: StoredPresets | undefined, earlier: readonly Preset[]): State {
  const presets = stored && parseStoredPresets(stored.presets);
  return {
    version: stored?.version ?? 0,
    presets: presets ?? earlier,
    newerProgram: stored && !presets ? stored.registeredBy : undefined,
  };
}

function describeNewerPresets(newerProgram: string, programVersion: string): string {
  return `Vitrine ${newerProgram} has registered presets with options that this process (Vitrine ${programVersion}) does not know. Upgrade this process. Until then, it makes no renditions.`;
}

/** Returns why the presets in force are not those of the process, as a sentence; `undefined` if they are the same. */
function describeDifference(
  { version, presets, newerProgram }: State,
  configured: readonly Preset[],
  programVersion: string,
): string | undefined {
  if (newerProgram !== undefined) return describeNewerPresets(newerProgram, programVersion);
  const changes = findPresetChanges(configured, presets);
  return (
    changes &&
    `This process follows the presets in force (version ${version}), which differ from PRESETS of this process: ${describePresetChanges(changes)}. The server that started last with different PRESETS decides.`
  );
}

function makePresetLog({ configured, programVersion, logger }: Dependencies) {
  function warn(state: State): boolean {
    const sentence = describeDifference(state, configured, programVersion);
    if (sentence === undefined) return false;
    const level = state.newerProgram === undefined ? 'warn' : 'error';
    logger[level]({ presets: state.version }, uncapitalize(sentence));
    return true;
  }
  return {
    opened(state: State, changes: PresetChanges | undefined): void {
      if (warn(state)) return;
      const names = state.presets.map(({ name }) => name).join(', ');
      const message = changes
        ? `this process has changed the presets in force (version ${state.version}): ${describePresetChanges(changes)}`
        : `presets in force (version ${state.version}): ${names}`;
      logger.info({ presets: state.version }, message);
    },
    changed(state: State): void {
      if (!warn(state))
        logger.info(
          { presets: state.version },
          `the presets in force have changed (version ${state.version}) and are the same as PRESETS of this process`,
        );
    },
  };
}

function uncapitalize(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '');
}
