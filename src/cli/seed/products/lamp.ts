import { type Colour, darken, lighten } from '../colours.ts';
import {
  defineBlur,
  defineGradient,
  mirror,
  type ProductKind,
  defineRoundShading,
  drawSoftStrokes,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface LampShape {
  /** Half the width of the shade at its upper edge. */
  readonly upperHalfWidth: number;
  /** Half the width of the shade at its lower edge. */
  readonly lowerHalfWidth: number;
  readonly shadeHeight: number;
  /** Radius of the foot. */
  readonly footRadius: number;
  readonly stem: 'rod' | 'ball' | 'vase';
  readonly hasTrim: boolean;
}

const floor = 860;
const middle = 500;
const shadeTop = 140;

/** Table lamps with a fabric shade on a rod, on stacked balls or on a vase. */
export const lamp: ProductKind = {
  name: 'lamp',
  prefix: 'LMP',
  aspect: 0.8,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    const body =
      (view === 'back' ? drawCable(shape) : '') +
      drawFoot(shape, colour) +
      drawStem(shape, colour) +
      drawShade(shape, colour, view === 'back');
    return {
      body: view === 'back' ? mirror(body) : body,
      detail: { x: 330, y: shadeTop + shape.shadeHeight - 190, size: 400 },
      floorContact: { x: middle, y: floor, radius: shape.footRadius },
    };
  },
};

function chooseShape(random: Random): LampShape {
  const lowerHalfWidth = random.between(215, 275);
  return {
    lowerHalfWidth,
    upperHalfWidth: lowerHalfWidth * random.between(0.5, 0.9),
    shadeHeight: random.between(250, 330),
    footRadius: random.between(120, 165),
    stem: random.pick(['rod', 'ball', 'vase']),
    hasTrim: random.chance(0.5),
  };
}

function drawShade(
  { upperHalfWidth, lowerHalfWidth, shadeHeight, hasTrim }: LampShape,
  colour: Colour,
  isBack: boolean,
): string {
  const bottom = shadeTop + shadeHeight;
  const outline =
    `M ${middle - upperHalfWidth} ${shadeTop} Q ${middle} ${shadeTop + 26}, ${middle + upperHalfWidth} ${shadeTop} ` +
    `L ${middle + lowerHalfWidth} ${bottom} Q ${middle} ${bottom + 48}, ${middle - lowerHalfWidth} ${bottom} Z`;
  const drawTrim = (y: number, halfWidth: number, sag: number) =>
    `<path d="M ${middle - halfWidth} ${y} Q ${middle} ${y + sag}, ${middle + halfWidth} ${y}" fill="none" stroke="${darken(colour.accent, 0.2)}" stroke-width="11"/>`;
  return (
    defineRoundShading('shade', lighten(colour.hex, 0.12)) +
    defineBlur('glow', 45) +
    `<ellipse cx="${middle}" cy="${shadeTop}" rx="${upperHalfWidth}" ry="16" fill="${darken(colour.hex, 0.5)}"/>` +
    `<path d="${outline}" fill="url(#shade)"/>` +
    `<defs><clipPath id="shade-clip"><path d="${outline}"/></clipPath></defs><g clip-path="url(#shade-clip)">` +
    `<ellipse cx="${middle}" cy="${bottom - 60}" rx="${lowerHalfWidth * 0.6}" ry="${shadeHeight * 0.42}" fill="#ffe2a8" opacity="${isBack ? 0.1 : 0.6}" filter="url(#glow)"/>${drawThreads(lowerHalfWidth)}${isBack ? drawSeam(colour) : ''}</g>` +
    (hasTrim
      ? drawTrim(shadeTop + 6, upperHalfWidth - 1, 26) + drawTrim(bottom - 7, lowerHalfWidth - 2, 48)
      : '')
  );
}

/** Draws the seam of the fabric, which is visible from the back. */
function drawSeam(colour: Colour): string {
  return `<path d="M ${middle + 60} ${shadeTop} L ${middle + 76} 540" stroke="${darken(colour.hex, 0.45)}" stroke-width="7" opacity="0.7"/>`;
}

/** Draws fine vertical threads, which make a flat area look like fabric. */
function drawThreads(lowerHalfWidth: number): string {
  const count = 90;
  return Array.from({ length: count }, (_, index) => {
    const offset = (index / count) * 2 - 1;
    return `<path d="M ${middle + offset * lowerHalfWidth * 0.8} ${shadeTop} L ${middle + offset * lowerHalfWidth} 520" stroke="${index % 2 ? '#fff' : '#000'}" stroke-width="1.3" opacity="0.09"/>`;
  }).join('');
}

function drawStem({ stem, shadeHeight }: LampShape, colour: Colour): string {
  const from = shadeTop + shadeHeight + 10;
  const height = floor - 34 - from;
  const shading =
    defineRoundShading('stem', stem === 'rod' ? '#b08d4c' : darken(colour.accent, 0.12)) +
    defineBlur('stem-blur', 8);
  const rod = `<rect x="${middle - 11}" y="${from - 20}" width="22" height="${height + 30}" fill="url(#stem)"/>`;
  if (stem === 'rod') return shading + rod;
  if (stem === 'vase') {
    const vase =
      `M ${middle - 26} ${from + 6} C ${middle - 30} ${from + 70}, ${middle - 130} ${from + height * 0.3}, ${middle - 118} ${from + height * 0.6} ` +
      `C ${middle - 108} ${from + height * 0.85}, ${middle - 60} ${from + height * 0.9}, ${middle - 56} ${from + height + 8} H ${middle + 56} ` +
      `C ${middle + 60} ${from + height * 0.9}, ${middle + 108} ${from + height * 0.85}, ${middle + 118} ${from + height * 0.6} ` +
      `C ${middle + 130} ${from + height * 0.3}, ${middle + 30} ${from + 70}, ${middle + 26} ${from + 6} Z`;
    const shine = `M ${middle - 66} ${from + height * 0.38} Q ${middle - 84} ${from + height * 0.55}, ${middle - 64} ${from + height * 0.72}`;
    return `${shading}${rod}<path d="${vase}" fill="url(#stem)"/>${drawSoftStrokes('stem-blur', [[shine, '#ffffff', 18, 0.6]])}`;
  }
  const radius = height / 6;
  const balls = [0, 1, 2].map((index) => {
    const y = from + 6 + radius * (1 + index * 2);
    return `<circle cx="${middle}" cy="${y}" r="${radius}" fill="url(#stem)"/><circle cx="${middle - radius * 0.35}" cy="${y - radius * 0.4}" r="${radius * 0.17}" fill="#fff" opacity="0.45"/>`;
  });
  return shading + rod + balls.join('');
}

function drawFoot({ footRadius }: LampShape, colour: Colour): string {
  const baseColour = darken(colour.accent, 0.3);
  const plateGradient = defineGradient('plate', [
    [0, darken(baseColour, 0.2)],
    [0.35, lighten(baseColour, 0.45)],
    [1, darken(baseColour, 0.25)],
  ]);
  return (
    `${defineRoundShading('foot', baseColour)}${plateGradient}` +
    `<path d="M ${middle - footRadius} ${floor - 30} v 24 a ${footRadius} 26 0 0 0 ${footRadius * 2} 0 v -24 Z" fill="url(#foot)"/>` +
    `<ellipse cx="${middle}" cy="${floor - 30}" rx="${footRadius}" ry="26" fill="url(#plate)"/>`
  );
}

function drawCable({ footRadius }: LampShape): string {
  const path = `M ${middle + footRadius - 20} ${floor} C ${middle + footRadius + 120} ${floor + 10}, ${middle + footRadius + 60} ${floor + 60}, ${middle + footRadius + 230} ${floor + 46}`;
  return `<path d="${path}" fill="none" stroke="#2b2b2e" stroke-width="11" stroke-linecap="round"/><path d="${path}" fill="none" stroke="#77787c" stroke-width="2.5"/>`;
}
