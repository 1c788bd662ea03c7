import type { PictureBox, PictureEdit, Relation } from '../../../model/relation.ts';
import { toLab } from '../../colour/luma-and-lab.ts';
import type { Rectangle, Size } from '../../geometry.ts';
import type { CellRectangle } from '../pixel-match/cells.ts';
import { type AlignedPair, alignViews } from './align-views.ts';
import { type Comparison, compareCells } from './compare-cells.ts';
import { changeExposure, fitExposure, largestChange } from './exposure.ts';
import { nameGeometryEdits } from './geometry-edits.ts';
import { listChanges } from './list-changes.ts';
import { findBounds } from './regions.ts';
import { sampleView, type View } from './view.ts';

/** Correlation of the edges below which two pictures do not show the same. */
const minAgreement = 0.6;
/** Largest part of the overlap whose shapes may differ. If more does, the pictures do not show the same. */
const maxChangedShapes = 0.25;
/** Below this excess, a difference may still be caused by an edit. */
const minClearExcess = 1.3;
/** Changes of exposure by fewer levels (of 255) are caused by compression. */
const minExposureChange = 4;
/** Largest change of exposure that counts as an edit: 20 % (51 levels), and the uncertainty of the fit. */
const maxExposureChange = 56;
/** A change of exposure explains the differences if at most this part of them is left. */
const maxUnexplained = 0.5;

/**
 * Decides how two pictures are related, the newer one first. Aligns them by their edges, then compares shapes and shades block
 * by block. Returns `undefined` if they do not show the same.
 */
export function relateViews(first: View, second: View): Relation | undefined {
  const pair = alignViews(first, second);
  if (pair.agreement < minAgreement) return undefined;
  const { comparison, hasOtherExposure } = compareAligned(first, second, pair);
  if (comparison.shapeShare > maxChangedShapes) return undefined;
  const { edits, isExcessive } = nameGeometryEdits(first, second, pair);
  return judge(comparison, pair, hasOtherExposure ? [...edits, 'brightness'] : edits, isExcessive);
}

/** Compares two pictures as they are and, if they differ, after a change of exposure. */
function compareAligned(first: View, second: View, { overlap, isMirrored, size }: AlignedPair) {
  const sample = (view: View, area: Rectangle, isViewMirrored: boolean) =>
    sampleView(view, area, size, isViewMirrored);
  const from = sample(first, overlap.first, false);
  const to = sample(second, overlap.second, isMirrored);
  const plain = { comparison: compareCells(from, to, size), hasOtherExposure: false };
  if (plain.comparison.share === 0) return plain;
  // The brighter picture may be clipped, so it is the darker one whose exposure is changed.
  const [forth, back] = [fitExposure(from, to), fitExposure(to, from)];
  const isForth = forth.gain * 255 + forth.offset >= back.gain * 255 + back.offset;
  const exposure = isForth ? forth : back;
  const change = largestChange(exposure);
  if (change < minExposureChange || change > maxExposureChange) return plain;
  const adjusted = isForth
    ? compareCells(sample(changeExposure(first, exposure), overlap.first, false), to, size)
    : compareCells(from, sample(changeExposure(second, exposure), overlap.second, isMirrored), size);
  return adjusted.share < plain.comparison.share * maxUnexplained
    ? { comparison: adjusted, hasOtherExposure: true }
    : plain;
}

function judge(
  comparison: Comparison,
  pair: AlignedPair,
  edits: readonly PictureEdit[],
  isExcessive: boolean,
): Relation {
  const { size } = pair;
  const difference = measureDifference(comparison.first, comparison.second);
  const relation = { edit: joinEdits(edits), box: null, difference };
  if (comparison.share === 0) return toSamePicture(relation, isExcessive);
  const changes = listChanges(comparison, size).filter(({ kind }) => kind !== 'contrast');
  if (changes.length === 0) return toSamePicture(relation, isExcessive);
  const kinds = new Set(changes.map(({ kind }) => kind));
  const cells = changes.flatMap(({ region }) => region.cells);
  const differing = { ...relation, box: toBox(findBounds(cells, size.width), size, pair) };
  if (comparison.largestExcess < minClearExcess)
    return { ...differing, tier: 'possible', reason: 'the same picture, or one that differs slightly' };
  if (kinds.has('recoloured'))
    return { ...differing, tier: 'variant', reason: 'the same shapes in another colour' };
  if (kinds.has('detail'))
    return { ...differing, tier: 'variant', reason: 'the same picture with another detail' };
  if (kinds.has('overlay') || isExcessive)
    return {
      ...differing,
      tier: 'possible',
      reason: 'the same picture, in which something was added or covered',
    };
  const edit = joinEdits([...edits, 'badge']);
  return { ...differing, edit, tier: 'edited', reason: describeEdits(edit) };
}

function joinEdits(edits: readonly PictureEdit[]): string | null {
  return edits.length > 0 ? edits.join('+') : null;
}

function toSamePicture(
  relation: Pick<Relation, 'edit' | 'box' | 'difference'>,
  isExcessive: boolean,
): Relation {
  if (isExcessive)
    return {
      ...relation,
      tier: 'possible',
      reason: 'the same picture, but more is missing than an edit explains',
    };
  if (relation.edit === null)
    return { ...relation, tier: 'reencoded', reason: 'the same colours in the same places' };
  return { ...relation, tier: 'edited', reason: describeEdits(relation.edit) };
}

const phrases: Readonly<Record<string, string>> = {
  mirrored: 'mirrored',
  padded: 'with a border added',
  trimmed: 'with its border removed',
  cropped: 'cropped',
  brightness: 'in another brightness',
  badge: 'with a badge',
};

function describeEdits(edit: string | null): string {
  const names = (edit ?? '').split('+').map((name) => phrases[name] ?? name);
  return `the same picture, ${names.join(', ')}`;
}

/** Converts an area of cells to fractions of the first picture. */
function toBox(
  { column, row, columns, rows }: CellRectangle,
  { width, height }: Size,
  { overlap: { first } }: AlignedPair,
): PictureBox {
  const left = clampFraction(first.left + (column / width) * first.width);
  const top = clampFraction(first.top + (row / height) * first.height);
  return {
    left,
    top,
    width: Math.min(1 - left, (columns / width) * first.width),
    height: Math.min(1 - top, (rows / height) * first.height),
  };
}

function clampFraction(value: number): number {
  return Math.max(0, Math.min(1, value));
}

/** One of this many cells is measured for the mean difference. */
const differenceStep = 7;

/** Returns the mean colour difference (CIE ΔE) between corresponding cells. */
function measureDifference(first: Float32Array, second: Float32Array): number {
  const [a, b] = [toLab(pickCells(first)), toLab(pickCells(second))];
  let sum = 0;
  for (let index = 0; index < a.length; index += 3)
    sum += Math.hypot(
      (a[index] ?? 0) - (b[index] ?? 0),
      (a[index + 1] ?? 0) - (b[index + 1] ?? 0),
      (a[index + 2] ?? 0) - (b[index + 2] ?? 0),
    );
  return sum / (a.length / 3);
}

function pickCells(values: Float32Array): Uint8Array {
  const count = Math.floor(values.length / 3 / differenceStep);
  const cells = new Uint8Array(count * 3);
  for (let index = 0; index < cells.length; index++) {
    const channel = index % 3;
    cells[index] = Math.round(values[(index - channel) * differenceStep + channel] ?? 0);
  }
  return cells;
}
