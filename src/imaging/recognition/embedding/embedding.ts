import { type Embedding, embeddingSpace } from '../../../model/fingerprint.ts';
import { areaMean, wholeAreaMean } from '../area-mean.ts';
import { borderColourOf, contentFrame, maskOf } from './content-frame.ts';
import { unitLength } from './blocks.ts';
import { colourBlock, minWeight } from './colour.ts';
import { type Content, contentSide } from './content.ts';
import { proportionBlock } from './proportion.ts';
import { plainBlock } from './plain.ts';
import { shapeBlock } from './shape.ts';
import { textureBlock } from './texture.ts';
import { type Frame, fitInside, type Size } from '../../geometry.ts';
import { labOf } from '../../colour/luma-and-lab.ts';
import type { Pixels } from '../../decoding/pixels.ts';

/**
 * Share of each block in a score. Colour and shape are balanced so that either finds the other views of a product:
 * the same colour from another side, or the same view in another colour. Proportion is nearly the same for all
 * pictures: it lifts the scores, so that most pictures of one product lie above 0.6, and 99 % of the others below 0.7.
 */
const shares = { colour: 0.55, shape: 0.45, texture: 0.1, proportion: 0.66 };

/** The content is looked for in a picture of this size; dust is gone there. */
const searchBox = { width: 100, height: 100 };
/** Digits after the point; more would only differ from machine to machine. */
const precision = 1e6;

/**
 * The built-in embedding of a picture, from its pixels or from smaller ones of the same frame (`describedSize`):
 * colour, shape, texture and proportion of the content, without the background; a picture of one colour is all content. It
 * knows looks, not meaning.
 */
export function embeddingOf(pixels: Pixels): Embedding {
  const content = contentOf(pixels);
  const vector = [
    ...scaled(colourBlock(content), shares.colour),
    ...scaled(content.isPlain ? plainBlock(content) : shapeBlock(content), shares.shape),
    ...scaled(textureBlock(content), shares.texture),
    ...scaled(proportionBlock(content), shares.proportion),
  ];
  const unit = unitLength(Float64Array.from(vector));
  return {
    space: embeddingSpace,
    vector: Array.from(unit, (value) => Math.round(value * precision) / precision),
  };
}

function scaled(block: Float64Array, share: number): Float64Array {
  return block.map((value) => value * Math.sqrt(share));
}

function contentOf(pixels: Pixels): Content {
  const small = wholeAreaMean(pixels, fitInside(pixels, searchBox));
  const lab = labOf(small.data);
  const background = borderColourOf(lab, small);
  const frame = enlarged(contentFrame(maskOf(lab, background), small), small, pixels);
  const content = areaMean(pixels, frame, { width: contentSide, height: contentSide });
  const contentLab = labOf(content.data);
  const aspect = frame.width / frame.height;
  const mask = maskOf(contentLab, background);
  // A swatch is all background. Without its colour, only its proportions would be described.
  const isPlain = mask.every((weight) => weight < minWeight);
  return { lab: contentLab, mask: isPlain ? mask.fill(1) : mask, isPlain, aspect };
}

/** A frame of the picture `from` in the coordinates of the same picture at another size. */
function enlarged(frame: Frame, from: Size, to: Size): Frame {
  const left = Math.floor((frame.left * to.width) / from.width);
  const top = Math.floor((frame.top * to.height) / from.height);
  const right = Math.ceil(((frame.left + frame.width) * to.width) / from.width);
  const bottom = Math.ceil(((frame.top + frame.height) * to.height) / from.height);
  return {
    left,
    top,
    width: Math.min(right, to.width) - left,
    height: Math.min(bottom, to.height) - top,
  };
}
