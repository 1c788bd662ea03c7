import type { Preset } from '../../../src/model/preset.ts';
import type { PresetsInForce } from '../../../src/services/presets-in-force.ts';

/** Returns presets that never change. */
export function fixPresets(presets: readonly Preset[]): PresetsInForce {
  return {
    list: () => presets,
    find: (name) => presets.find((preset) => preset.name === name),
    version: () => 0,
    warning: () => undefined,
    forRendering: () => Promise.resolve(presets),
  };
}
