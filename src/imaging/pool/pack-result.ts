import type { EncodedPicture, Outcome, WorkKind } from './messages.ts';

// Apart from answers.ts, which checks results in the parent: a child starts sooner without the library for schemas.

/** A result as it travels: JSON, and the bytes of all renditions one after the other. */
interface PackedResult {
  readonly result: object;
  readonly payload: readonly Uint8Array[];
}

/** Prepares a result for the channel. */
export function packResult(kind: WorkKind, outcome: Outcome): PackedResult {
  if (kind !== 'derive') return { result: outcome, payload: [] };
  const { renditions, ...rest } = outcome as EncodedPicture;
  const listed = renditions.map(({ preset, width, height, jpeg }) => {
    return { preset: preset.name, width, height, bytes: jpeg.length };
  });
  return { result: { ...rest, renditions: listed }, payload: renditions.map(({ jpeg }) => jpeg) };
}
