import { fitInside, type Rectangle, type Size } from '../../geometry.ts';
import { type Alignment, measureAgreement, refinePlacement } from './align.ts';
import { findEdges } from './edge-map.ts';
import { findOverlap, type Overlap, type Placement, placeArea } from './placement.ts';
import { mirrorView, sampleView, type View } from './view.ts';

/** Two pictures, aligned: where the second one lies, and both scaled to the same size where they overlap. */
export interface AlignedPair {
  readonly placement: Placement;
  /** Whether the second picture had to be mirrored. Its placement is that of the mirror image. */
  readonly isMirrored: boolean;
  /** Correlation of the edges, at most 1. */
  readonly agreement: number;
  /** The compared part: the overlap, perhaps without a narrow margin. */
  readonly overlap: Overlap;
  /** Size of the common grid, whose cells are compared. */
  readonly size: Size;
}

/** Largest number of cells along a side. A cell is then 4 pixels of a picture of 1280. */
const maxCells = 320;
/** A cell covers at least this many pixels along a side, in the picture that has fewer. */
const minPixelsPerCell = 1.6;
/** Number of initial placements that are refined. */
const refinedGuesses = 3;
/** A mirror image is preferred only if its edges agree by this much more. Symmetrical objects agree either way. */
const minGain = 0.002;

/** Finds where the second picture, or its mirror image, lies relative to the first. */
export function alignViews(first: View, second: View): AlignedPair {
  const mirrored = mirrorView(second);
  const guesses = [
    ...guessPlacements(first, second, false),
    ...guessPlacements(first, mirrored, true),
  ].toSorted((a, b) => b.agreement - a.agreement);
  let best: (Alignment & { isMirrored: boolean }) | undefined;
  for (const { placement, isMirrored } of guesses.slice(0, refinedGuesses)) {
    const maps = isMirrored ? mirrored.edgeMaps : second.edgeMaps;
    const refined = refinePlacement(first.edgeMaps, maps, placement);
    const gain = best ? refined.agreement - best.agreement : 1;
    // Of two equally good placements, the one that is not mirrored is preferred.
    if (gain > (isMirrored ? minGain : -minGain)) best = { ...refined, isMirrored };
  }
  const { placement, isMirrored } = best ?? { placement: samePlace, isMirrored: false };
  return polish(first, second, placement, isMirrored);
}

const samePlace: Placement = { scaleX: 1, shiftX: 0, scaleY: 1, shiftY: 0 };

/** A guess is a pair of frames, one of each picture, that may show the same. */
function guessPlacements(first: View, second: View, isMirrored: boolean) {
  const pairs = [
    [first.full, second.full],
    [first.content, second.content],
    [first.full, second.content],
    [first.content, second.full],
    ...first.croppedCores.map((area) => [area, second.core] as const),
  ] as const;
  return pairs.flatMap(([from, to]) => {
    const placement = placeArea(from, to);
    const [map, otherMap] = [first.edgeMaps[0], second.edgeMaps[0]];
    return map && otherMap
      ? [{ placement, isMirrored, agreement: measureAgreement(map, otherMap, placement) }]
      : [];
  });
}

/** Refines a placement at the resolution of the cells, where the pictures overlap. */
function polish(first: View, second: View, placement: Placement, isMirrored: boolean): AlignedPair {
  const overlap = findOverlap(placement);
  const size = chooseSize(first, second, overlap);
  const [from, to] = [overlap.first, overlap.second];
  if (!(from.width * from.height > 0)) return { placement, isMirrored, agreement: 0, overlap, size };
  const maps = [findEdges(sampleView(first, from, size, false), size)];
  const otherMaps = [findEdges(sampleView(second, to, size, isMirrored), size)];
  const refined = refinePlacement(maps, otherMaps, samePlace);
  // The refined placement is relative to the overlap.
  const inner = refined.placement;
  const scaleX = placement.scaleX * inner.scaleX;
  const scaleY = placement.scaleY * inner.scaleY;
  const polished = {
    scaleX,
    shiftX: to.left + to.width * inner.shiftX - scaleX * from.left,
    scaleY,
    shiftY: to.top + to.height * inner.shiftY - scaleY * from.top,
  };
  return {
    placement: polished,
    isMirrored,
    agreement: refined.agreement,
    overlap: findComparedPart(polished, size),
    size,
  };
}

/** Cells along the edges of the overlap that are not compared if the edges of both pictures do not coincide. */
const margin = 2;
/** Least area of an overlap whose edges are those of both pictures. */
const minWhole = 0.99;

/** Returns the overlap without its margin, in which pixels from outside the overlap would count. */
function findComparedPart(placement: Placement, { width, height }: Size): Overlap {
  const overlap = findOverlap(placement);
  const isWhole = [overlap.first, overlap.second].every((area) => area.width * area.height > minWhole);
  return isWhole
    ? overlap
    : {
        first: shrink(overlap.first, margin / width, margin / height),
        second: shrink(overlap.second, margin / width, margin / height),
      };
}

/** Removes a fraction of the width on the left and the right, and of the height at the top and the bottom. */
function shrink({ left, top, width, height }: Rectangle, across: number, down: number): Rectangle {
  return {
    left: left + width * across,
    top: top + height * down,
    width: width * (1 - 2 * across),
    height: height * (1 - 2 * down),
  };
}

/** Chooses the number of cells: as many as the picture with fewer pixels has, within limits. */
function chooseSize(
  { pixels: first }: View,
  { pixels: second }: View,
  { first: from, second: to }: Overlap,
): Size {
  const width = Math.min(from.width * first.width, to.width * second.width) / minPixelsPerCell;
  const height = Math.min(from.height * first.height, to.height * second.height) / minPixelsPerCell;
  const { width: columns, height: rows } = fitInside(
    { width, height },
    { width: maxCells, height: maxCells },
  );
  return { width: Math.max(8, columns), height: Math.max(8, rows) };
}
