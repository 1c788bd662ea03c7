import type { Rectangle } from '../../geometry.ts';
import type { PictureEdit } from '../../../model/relation.ts';
import type { AlignedPair } from './align-views.ts';
import { findOverlap } from './placement.ts';
import type { View } from './view.ts';

/** The edits that explain how two pictures are placed relative to each other. */
export interface GeometryEdits {
  readonly edits: readonly PictureEdit[];
  /** Whether more was cropped, or stretched, than an edit of the same picture explains. */
  readonly isExcessive: boolean;
}

/** Least part of a side, as a fraction, that counts as missing. */
const minMissing = 0.008;
/** Largest part that a crop may have removed at one edge; 5 %, and the uncertainty of the alignment. */
const maxCrop = 0.06;
/** Largest ratio of the scales across and down. */
const maxStretch = 1.03;
/** The content may reach this far beyond the overlap without being cropped. */
const contentTolerance = 0.015;

/** Names the edits of the first (newer) picture. */
export function nameGeometryEdits(first: View, second: View, pair: AlignedPair): GeometryEdits {
  const { placement, isMirrored } = pair;
  const overlap = findOverlap(placement);
  const content = isMirrored
    ? { ...second.content, left: 1 - second.content.left - second.content.width }
    : second.content;
  const added = describeRest(overlap.first, first.content);
  const removed = describeRest(overlap.second, content);
  const edits: PictureEdit[] = isMirrored ? ['mirrored'] : [];
  if (added.isMissing && added.isPlain) edits.push('padded');
  if (removed.isMissing && removed.isPlain) edits.push('trimmed');
  const cropped = [added, removed].filter(({ isMissing, isPlain }) => isMissing && !isPlain);
  if (cropped.length > 0) edits.push('cropped');
  const stretch = measureStretch(first, second, pair);
  return {
    edits,
    isExcessive:
      cropped.some(({ largest }) => largest > maxCrop) || Math.max(stretch, 1 / stretch) > maxStretch,
  };
}

/** Describes the part of a picture outside the overlap. */
function describeRest(overlap: Rectangle, content: Rectangle) {
  const sides = [
    overlap.left,
    overlap.top,
    1 - overlap.left - overlap.width,
    1 - overlap.top - overlap.height,
  ];
  const largest = Math.max(...sides);
  const isPlain =
    content.left >= overlap.left - contentTolerance &&
    content.top >= overlap.top - contentTolerance &&
    content.left + content.width <= overlap.left + overlap.width + contentTolerance &&
    content.top + content.height <= overlap.top + overlap.height + contentTolerance;
  return { isMissing: largest > minMissing, isPlain, largest };
}

function measureStretch(
  { pixels: first }: View,
  { pixels: second }: View,
  { placement }: AlignedPair,
): number {
  return (placement.scaleX * second.width * first.height) / (placement.scaleY * second.height * first.width);
}
