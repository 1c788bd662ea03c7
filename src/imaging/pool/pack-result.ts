import type { EncodedPicture, Outcome, WorkKind } from './messages.ts';

// Separate from answers.ts, which validates results in the parent: a child starts faster without the schema library.

/** A result as sent: JSON, and the concatenated bytes of all renditions. */
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
