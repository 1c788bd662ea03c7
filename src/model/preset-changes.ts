import type { Preset } from './preset.ts';

/** How two lists of presets differ. The order of the presets does not count. */
export interface PresetChanges {
  /** Names of presets that only the new list has. */
  readonly added: readonly string[];
  /** Names of presets that only the old list has. */
  readonly removed: readonly string[];
  /** Names of the options that differ, in alphabetical order, by the name of the preset. */
  readonly changed: Readonly<Record<string, readonly string[]>>;
}

/** Compares two lists of presets. Returns `undefined` if they are the same. */
export function findPresetChanges(from: readonly Preset[], to: readonly Preset[]): PresetChanges | undefined {
  const oldPresets = new Map(from.map((preset) => [preset.name, preset]));
  const newNames = new Set(to.map(({ name }) => name));
  const added = to.flatMap(({ name }) => (oldPresets.has(name) ? [] : [name]));
  const removed = from.flatMap(({ name }) => (newNames.has(name) ? [] : [name]));
  const changed = to.flatMap((preset): [string, string[]][] => {
    const oldPreset = oldPresets.get(preset.name);
    const options = oldPreset ? findChangedOptions(oldPreset, preset) : [];
    return options.length > 0 ? [[preset.name, options]] : [];
  });
  if (added.length + removed.length + changed.length === 0) return undefined;
  return { added, removed, changed: Object.fromEntries(changed) };
}

function findChangedOptions(from: Preset, to: Preset): string[] {
  const options = Object.keys(to) as (keyof Preset)[];
  return options.filter((option) => canonical(from[option]) !== canonical(to[option])).toSorted();
}

/** Returns JSON that does not depend on the order of the fields, which the database does not keep. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/** Describes changes as a part of a sentence, such as `added: hero; changed: card (quality, formats)`. */
export function describePresetChanges({ added, removed, changed }: PresetChanges): string {
  const changes = Object.entries(changed).map(([name, options]) => `${name} (${options.join(', ')})`);
  return [
    added.length > 0 ? `added: ${added.join(', ')}` : [],
    removed.length > 0 ? `removed: ${removed.join(', ')}` : [],
    changes.length > 0 ? `changed: ${changes.join(', ')}` : [],
  ]
    .flat()
    .join('; ');
}
