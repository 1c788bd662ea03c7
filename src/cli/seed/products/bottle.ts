import { type Colour, darken, lighten } from '../colours.ts';
import {
  defineBlur,
  defineGradient,
  type ProductKind,
  defineRoundShading,
  drawSoftStrokes,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface BottleShape {
  /** Half the width of the body. */
  readonly bodyHalfWidth: number;
  /** Half the width of the neck. */
  readonly neckHalfWidth: number;
  /** Height of the shoulder, between the neck and the body. */
  readonly shoulderHeight: number;
  readonly capHeight: number;
  readonly hasLoop: boolean;
  readonly mark: 'label' | 'peak' | 'ring';
}

const floor = 880;
const middle = 500;
const top = 130;

/** Steel water bottles, slim or wide, with a cap and a printed mark. */
export const bottle: ProductKind = {
  name: 'bottle',
  prefix: 'BTL',
  aspect: 0.8,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    return {
      body: drawLoop(shape) + drawBody(shape, colour) + drawMark(shape, colour, view) + drawCap(shape),
      detail: { x: 330, y: top - 60, size: 390 },
      floorContact: { x: middle, y: floor, radius: shape.bodyHalfWidth },
    };
  },
};

function chooseShape(random: Random): BottleShape {
  const bodyHalfWidth = random.between(105, 155);
  return {
    bodyHalfWidth,
    neckHalfWidth: bodyHalfWidth * random.between(0.48, 0.7),
    shoulderHeight: random.between(120, 210),
    capHeight: random.between(70, 120),
    hasLoop: random.chance(0.5),
    mark: random.pick(['label', 'peak', 'ring']),
  };
}

function drawBody(
  { bodyHalfWidth, neckHalfWidth, shoulderHeight, capHeight }: BottleShape,
  colour: Colour,
): string {
  const neckY = top + capHeight;
  const [left, right, neckLeft, neckRight] = [
    middle - bodyHalfWidth,
    middle + bodyHalfWidth,
    middle - neckHalfWidth,
    middle + neckHalfWidth,
  ];
  const outline =
    `M ${neckLeft} ${neckY} v 30 C ${neckLeft} ${neckY + shoulderHeight * 0.5}, ${left} ${neckY + shoulderHeight * 0.45}, ${left} ${neckY + shoulderHeight} ` +
    `V ${floor - 30} Q ${left} ${floor}, ${left + 30} ${floor + 4} Q ${middle} ${floor + 18}, ${right - 30} ${floor + 4} Q ${right} ${floor}, ${right} ${floor - 30} ` +
    `V ${neckY + shoulderHeight} C ${right} ${neckY + shoulderHeight * 0.45}, ${neckRight} ${neckY + shoulderHeight * 0.5}, ${neckRight} ${neckY + 30} v -30 Z`;
  const shineX = middle - bodyHalfWidth * 0.5;
  return (
    defineRoundShading('bottle', colour.hex) +
    defineBlur('soft', 9) +
    `<path d="${outline}" fill="url(#bottle)"/>` +
    drawSoftStrokes('soft', [
      [`M ${shineX} ${neckY + shoulderHeight + 20} V ${floor - 70}`, '#ffffff', 16, 0.55],
    ]) +
    drawSoftStrokes('soft', [
      [
        `M ${middle + bodyHalfWidth * 0.84} ${neckY + shoulderHeight + 10} V ${floor - 40}`,
        '#ffffff',
        7,
        0.3,
      ],
    ]) +
    `<path d="M ${left + 2} ${floor - 48} Q ${middle} ${floor - 30}, ${right - 2} ${floor - 48}" fill="none" stroke="#000" stroke-width="3" opacity="0.3"/>`
  );
}

function drawMark({ bodyHalfWidth, mark }: BottleShape, colour: Colour, view: string): string {
  if (view === 'back') return drawScale(bodyHalfWidth, colour);
  const shading = defineRoundShading('mark', colour.accent);
  const fill = 'fill="url(#mark)"';
  const [left, width] = [middle - bodyHalfWidth, bodyHalfWidth * 2];
  const drawings: Record<BottleShape['mark'], () => string> = {
    label: () =>
      `${shading}<path d="M ${left} 520 q ${bodyHalfWidth} 22 ${width} 0 v 190 q ${-bodyHalfWidth} 22 ${-width} 0 Z" ${fill}/>` +
      `<g fill="${darken(colour.hex, 0.2)}"><circle cx="${middle}" cy="590" r="34"/><rect x="${middle - 62}" y="648" width="124" height="12" rx="6"/><rect x="${middle - 40}" y="674" width="80" height="8" rx="4"/></g>`,
    peak: () =>
      `${shading}<path d="M ${middle - 70} 660 l 62 -118 28 48 18 -28 54 98 Z" ${fill}/><rect x="${middle - 70}" y="680" width="162" height="9" rx="4" ${fill}/>`,
    ring: () =>
      `${shading}<path d="M ${left} 470 q ${bodyHalfWidth} 22 ${width} 0 v 46 q ${-bodyHalfWidth} 22 ${-width} 0 Z" ${fill}/><path d="M ${left} 540 q ${bodyHalfWidth} 22 ${width} 0 v 14 q ${-bodyHalfWidth} 22 ${-width} 0 Z" ${fill}/>`,
  };
  return drawings[mark]();
}

/** Draws the scale on the back, with one line per 100 ml. */
function drawScale(bodyHalfWidth: number, colour: Colour): string {
  return Array.from({ length: 7 }, (_, line) => {
    const length = line % 2 === 0 ? 46 : 26;
    return `<rect x="${middle + bodyHalfWidth * 0.1}" y="${470 + line * 48}" width="${length}" height="5" rx="2" fill="${lighten(colour.accent, 0.1)}" opacity="0.85"/>`;
  }).join('');
}

function drawCap({ neckHalfWidth, capHeight }: BottleShape): string {
  const [x, width] = [middle - neckHalfWidth - 8, neckHalfWidth * 2 + 16];
  const grooves = Array.from({ length: 15 }, (_, index) => {
    const grooveX = middle + Math.sin(((index + 0.5) / 15 - 0.5) * Math.PI) * (neckHalfWidth + 6);
    return `<rect x="${grooveX}" y="${top + 16}" width="3" height="${capHeight - 28}" fill="#000" opacity="0.28"/>`;
  }).join('');
  const steelGradient = defineGradient('steel', [
    [0, '#77797d'],
    [0.3, '#f4f5f6'],
    [0.6, '#a9acb1'],
    [0.9, '#5d6066'],
    [1, '#85888d'],
  ]);
  return (
    defineRoundShading('cap', '#3a3b3f') +
    steelGradient +
    `<rect x="${x}" y="${top}" width="${width}" height="${capHeight}" rx="16" fill="url(#cap)"/>${grooves}` +
    `<rect x="${x + 4}" y="${top + capHeight - 4}" width="${width - 8}" height="16" rx="5" fill="url(#steel)"/>`
  );
}

function drawLoop({ hasLoop, neckHalfWidth }: BottleShape): string {
  if (!hasLoop) return '';
  const path = `M ${middle - neckHalfWidth * 0.6} ${top + 14} C ${middle - neckHalfWidth} ${top - 80}, ${middle + neckHalfWidth} ${top - 80}, ${middle + neckHalfWidth * 0.6} ${top + 14}`;
  return (
    `<path d="${path}" fill="none" stroke="#1d1d20" stroke-width="24"/>` +
    `<path d="${path}" fill="none" stroke="#5b5c61" stroke-width="7" transform="translate(-3 -3)"/>`
  );
}
