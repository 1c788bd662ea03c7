import sharp, { type Sharp } from 'sharp';

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [number, number, number];

/** Appearance of a box with a printed label. */
export interface LabelStyle {
  /** The printed text, which contains only digits. */
  readonly text?: string;
  /** Height of the digits, in pixels. */
  readonly digitHeight?: number;
  readonly ink?: Colour;
  /** Colour of the patch beside the text. */
  readonly shade?: Colour;
  /** Width and height of the picture, in pixels. */
  readonly width?: number;
}

/** Segments of a digit (top, upper left, upper right, middle, lower left, lower right, bottom), relative to its box. */
const segments = [
  [0.1, 0, 0.9, 0.14],
  [0, 0.08, 0.16, 0.5],
  [0.84, 0.08, 1, 0.5],
  [0.1, 0.43, 0.9, 0.57],
  [0, 0.5, 0.16, 0.92],
  [0.84, 0.5, 1, 0.92],
  [0.1, 0.86, 0.9, 1],
] as const;
/** The lit segments of the digits 0 to 9. */
const litSegments = [
  '1110111',
  '0010010',
  '1011101',
  '1011011',
  '0111010',
  '1101011',
  '1101111',
  '1010010',
  '1111111',
  '1111011',
];

/**
 * Draws a box with a printed number and a coloured patch. Uses no font. The same style always produces the same pixels.
 */
export function drawLabelledPicture(style: LabelStyle = {}): Sharp {
  const { text = '200', digitHeight = 12, ink = [40, 40, 60], shade = [170, 30, 60], width = 600 } = style;
  const data = Buffer.alloc(width * width * 3, 255);
  const fill = (left: number, top: number, right: number, bottom: number, colour: Colour) =>
    fillRectangle(data, width, [left, top, right, bottom], colour);
  const toPixels = (fraction: number) => fraction * width;
  fill(toPixels(0.18), toPixels(0.25), toPixels(0.74), toPixels(0.82), [246, 247, 250]);
  fill(toPixels(0.74), toPixels(0.22), toPixels(0.83), toPixels(0.76), [188, 196, 208]);
  fill(toPixels(0.18), toPixels(0.25), toPixels(0.74), toPixels(0.36), [20, 80, 160]);
  fill(toPixels(0.18), toPixels(0.68), toPixels(0.74), toPixels(0.82), [88, 166, 214]);
  fill(toPixels(0.56), toPixels(0.42), toPixels(0.68), toPixels(0.62), shade);
  for (const [position, digit] of text.split('').entries()) {
    const left = toPixels(0.24) + position * digitHeight * 0.8;
    for (const [index, [x0, y0, x1, y1]] of segments.entries()) {
      if (litSegments[Number(digit)]?.[index] !== '1') continue;
      const [boxWidth, boxHeight] = [digitHeight * 0.55, digitHeight];
      fill(
        left + x0 * boxWidth,
        toPixels(0.45) + y0 * boxHeight,
        left + x1 * boxWidth,
        toPixels(0.45) + y1 * boxHeight,
        ink,
      );
    }
  }
  return sharp(data, { raw: { width, height: width, channels: 3 } });
}

/** Fills a rectangle with anti-aliased edges. */
function fillRectangle(
  data: Buffer,
  width: number,
  [left, top, right, bottom]: readonly [number, number, number, number],
  colour: Colour,
): void {
  const overlap = (position: number, from: number, to: number) =>
    Math.max(0, Math.min(position + 1, to) - Math.max(position, from));
  for (let y = Math.floor(top); y < bottom; y++) {
    for (let x = Math.floor(left); x < right; x++) {
      const coverage = overlap(x, left, right) * overlap(y, top, bottom);
      for (const [channel, value] of colour.entries()) {
        const offset = (y * width + x) * 3 + channel;
        data[offset] = Math.round((data[offset] ?? 0) * (1 - coverage) + value * coverage);
      }
    }
  }
}
