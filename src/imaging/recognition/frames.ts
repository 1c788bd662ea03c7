import type { Pixels } from '../decoding/pixels.ts';
import type { Rectangle, Size } from '../geometry.ts';
import { removePlainEdges } from './content-frame.ts';

/** The parts of a picture from which hashes are computed, in pixels. */
export interface Frames {
  readonly full: Rectangle;
  /** The picture without its plain edges. Padding and trimming leave it unchanged. */
  readonly content: Rectangle;
  /** The centre of the picture. A badge in a corner leaves it unchanged. */
  readonly core: Rectangle;
  /** The parts that match the core of a picture of which this one is a crop, or which is a crop of this one. */
  readonly croppedCores: readonly Rectangle[];
  /**
   * If the content reaches exactly one edge of the picture, the content that the other picture has if one of the two was cropped
   * there. Beyond the edge, the last pixels of the picture are repeated.
   */
  readonly croppedContents: readonly Rectangle[];
}

/** Side of the core as a fraction of the picture's side. */
const coreSide = 0.6;
/** Crops for which there is a part, as fractions of the picture's side that are missing at each edge. */
const crops = [0.025, 0.05];

/** Crop at one edge for which there is a content frame. */
const edgeCrop = 0.04;

/** Returns the frames of a picture. */
export function findFrames(pixels: Pixels): Frames {
  const { width, height } = pixels;
  const centre = (side: number): Rectangle => ({
    left: (width * (1 - side)) / 2,
    top: (height * (1 - side)) / 2,
    width: width * side,
    height: height * side,
  });
  const content = removePlainEdges(pixels);
  return {
    full: { left: 0, top: 0, width, height },
    content,
    core: centre(coreSide),
    croppedCores: crops.flatMap((crop) => [
      centre(coreSide / (1 - 2 * crop)),
      centre(coreSide * (1 - 2 * crop)),
    ]),
    croppedContents: moveCutEdge(content, pixels),
  };
}

/** Moves the only edge of the content that is also an edge of the picture, outwards and inwards. */
function moveCutEdge(content: Rectangle, { width, height }: Size): Rectangle[] {
  const { left, top } = content;
  const cut = {
    left: left <= 1,
    top: top <= 1,
    right: left + content.width >= width - 1,
    bottom: top + content.height >= height - 1,
  };
  if (Object.values(cut).filter(Boolean).length !== 1) return [];
  const isAcross = cut.left || cut.right;
  return [edgeCrop, -edgeCrop].map((crop) => {
    const [across, down] = isAcross ? [crop * width, 0] : [0, crop * height];
    return {
      left: cut.left ? left - across : left,
      top: cut.top ? top - down : top,
      width: content.width + across,
      height: content.height + down,
    };
  });
}
