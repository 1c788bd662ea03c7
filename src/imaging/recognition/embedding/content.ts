import type { Mask } from './content-frame.ts';
import type { LabPixels } from '../../colour/luma-and-lab.ts';

/** Width and height of the pixels that a descriptor is made from. */
export const contentSide = 128;

/** What a descriptor is made from: a picture's content, squeezed to 128 × 128 pixels. */
export interface Content {
  readonly lab: LabPixels;
  readonly mask: Mask;
  /** Nothing differs from the background: the picture has one colour, and all of it counts as content. */
  readonly isPlain: boolean;
  /** Width ÷ height of the content before it was squeezed. */
  readonly aspect: number;
}
