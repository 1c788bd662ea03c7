import type { Preset } from '../model/preset.ts';

/**
 * The presets that apply to the whole installation. They can change while a process runs, so callers that need several of
 * them for one picture call `list` or `forRendering` once.
 */
export interface PresetsInForce {
  /** Returns all presets, in the order of `PRESETS`. */
  list(): readonly Preset[];
  /** Returns a preset, or `undefined` if there is none with this name. */
  find(name: string): Preset | undefined;
  /** Returns the number of the current version. It increases with each change; 0 if the presets are not registered. */
  version(): number;
  /** Returns a sentence that explains why the presets in force are not those of this process; `undefined` if they are. */
  warning(): string | undefined;
  /**
   * Returns all presets for making renditions, reading them again if the last time was more than a second ago.
   * @throws {AppError} `unavailable` if this process does not understand the presets in force.
   */
  forRendering(): Promise<readonly Preset[]>;
}
