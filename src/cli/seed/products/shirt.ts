import { type Colour, darken, lighten } from '../colours.ts';
import {
  defineBlur,
  clipTo,
  defineGradient,
  mirror,
  type ProductKind,
  type SoftStroke,
  drawSoftStrokes,
  drawStitching,
  type View,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface ShirtShape {
  /** Half the width of the body. */
  readonly halfWidth: number;
  readonly sleeve: 'short' | 'long';
  readonly neck: 'round' | 'polo';
  readonly print: 'sun' | 'stripes' | 'peaks' | 'pocket';
}

const top = 150;
const hem = 890;
const middle = 500;

/** T-shirts, polo shirts and long-sleeved shirts, laid flat. */
export const shirt: ProductKind = {
  name: 'shirt',
  prefix: 'SHT',
  aspect: 0.85,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    return {
      body: drawSleeves(shape, colour) + drawBody(shape, colour, view) + drawNeck(shape, colour, view),
      detail: { x: 310, y: 120, size: 400 },
    };
  },
};

function chooseShape(random: Random): ShirtShape {
  const neck = random.pick<ShirtShape['neck']>(['round', 'round', 'polo']);
  const print = random.pick<ShirtShape['print']>(['sun', 'stripes', 'peaks', 'pocket']);
  return {
    halfWidth: random.between(215, 250),
    sleeve: random.pick(['short', 'short', 'long']),
    neck,
    // A polo shirt has a pocket instead of a print, because its buttons would overlap the print.
    print: neck === 'polo' ? 'pocket' : print,
  };
}

function makeBodyOutline({ halfWidth }: ShirtShape): string {
  const [left, right] = [middle - halfWidth, middle + halfWidth];
  return (
    `M ${middle - 105} ${top} Q ${middle} ${top + 34}, ${middle + 105} ${top} L ${right - 6} ${top + 58} Q ${right - 20} ${top + 170}, ${right} ${top + 240} ` +
    `Q ${right + 8} ${hem - 200}, ${right - 4} ${hem - 8} Q ${middle} ${hem + 16}, ${left + 4} ${hem - 8} Q ${left - 8} ${hem - 200}, ${left} ${top + 240} Q ${left + 20} ${top + 170}, ${left + 6} ${top + 58} Z`
  );
}

function drawSleeves(shape: ShirtShape, colour: Colour): string {
  return (
    defineGradient(
      'sleeve',
      [
        [0, lighten(colour.hex, 0.1)],
        [1, darken(colour.hex, 0.18)],
      ],
      'down',
    ) +
    defineBlur('sleeve-blur', 9) +
    drawSleeve(shape, colour) +
    mirror(drawSleeve(shape, colour))
  );
}

function drawSleeve({ halfWidth, sleeve }: ShirtShape, colour: Colour): string {
  const x = middle - halfWidth;
  const outline =
    sleeve === 'short'
      ? `M ${x + 30} ${top + 46} Q ${x - 60} ${top + 90}, ${x - 132} ${top + 262} L ${x - 14} ${top + 318} L ${x + 60} ${top + 190} Z`
      : `M ${x + 30} ${top + 46} Q ${x - 50} ${top + 100}, ${x - 92} ${top + 330} L ${x - 118} ${hem - 90} L ${x - 30} ${hem - 76} L ${x + 40} ${top + 300} L ${x + 60} ${top + 180} Z`;
  const cuff =
    sleeve === 'short'
      ? `M ${x - 125} ${top + 246} L ${x - 6} ${top + 303}`
      : `M ${x - 117} ${hem - 122} L ${x - 27} ${hem - 108}`;
  const fold = `M ${x + 10} ${top + 130} Q ${x - 30} ${top + 190}, ${x - 50} ${top + 270}`;
  return `<path d="${outline}" fill="url(#sleeve)"/>${drawSoftStrokes('sleeve-blur', [[fold, '#000', 22, 0.22]])}${drawStitching(cuff, darken(colour.hex, 0.4))}`;
}

function drawBody(shape: ShirtShape, colour: Colour, view: View): string {
  const outline = makeBodyOutline(shape);
  const { halfWidth } = shape;
  const folds = [
    [
      `M ${middle - halfWidth + 10} ${top + 230} Q ${middle - 120} ${top + 330}, ${middle - 150} ${hem - 120}`,
      '#000',
      30,
      0.16,
    ],
    [
      `M ${middle + halfWidth - 10} ${top + 230} Q ${middle + 110} ${top + 340}, ${middle + 160} ${hem - 60}`,
      '#000',
      30,
      0.2,
    ],
    [
      `M ${middle - 40} ${hem - 10} Q ${middle - 70} ${hem - 160}, ${middle - 30} ${hem - 290}`,
      '#000',
      20,
      0.15,
    ],
    [
      `M ${middle + 60} ${hem - 10} Q ${middle + 50} ${hem - 120}, ${middle + 80} ${hem - 230}`,
      '#fff',
      22,
      0.16,
    ],
    [
      `M ${middle - halfWidth + 40} ${top + 330} Q ${middle - 160} ${top + 430}, ${middle - 190} ${hem - 60}`,
      '#fff',
      26,
      0.16,
    ],
  ] as const satisfies SoftStroke[];
  const gradient = defineGradient('cloth', [
    [0, darken(colour.hex, 0.22)],
    [0.16, colour.hex],
    [0.42, lighten(colour.hex, 0.1)],
    [0.8, colour.hex],
    [1, darken(colour.hex, 0.26)],
  ]);
  const foldStrokes = drawSoftStrokes('fold', folds);
  const hemline = `M ${middle - halfWidth} ${hem - 36} Q ${middle} ${hem - 12}, ${middle + halfWidth} ${hem - 36}`;
  const print = view === 'back' ? '' : drawPrint(shape, colour);
  return `${gradient}${defineBlur('fold', 14)}<path d="${outline}" fill="url(#cloth)"/>${clipTo('shirt-clip', outline, print + foldStrokes + drawStitching(hemline, darken(colour.hex, 0.4)))}`;
}

function drawPrint({ print, halfWidth }: ShirtShape, colour: Colour): string {
  const ink = colour.accent;
  const drawings: Record<ShirtShape['print'], () => string> = {
    pocket: () =>
      `<rect x="${middle + 60}" y="330" width="112" height="124" rx="8" fill="${darken(colour.hex, 0.1)}" stroke="${darken(colour.hex, 0.35)}" stroke-width="3"/>`,
    sun: () =>
      `<circle cx="${middle}" cy="420" r="92" fill="${ink}"/>${[0, 1, 2, 3].map((row) => `<rect x="${middle - 100}" y="${424 + row * 24}" width="200" height="${5 + row * 3}" fill="${colour.hex}"/>`).join('')}`,
    stripes: () =>
      [0, 1, 2, 3, 4, 5, 6]
        .map(
          (row) =>
            `<rect x="${middle - halfWidth - 20}" y="${300 + row * 78}" width="${halfWidth * 2 + 40}" height="26" fill="${ink}" opacity="0.92"/>`,
        )
        .join(''),
    peaks: () =>
      `<path d="M ${middle - 130} 500 l 96 -150 44 66 30 -42 92 126 Z" fill="${ink}"/><rect x="${middle - 130}" y="520" width="262" height="12" fill="${ink}"/>`,
  };
  return drawings[print]();
}

function drawNeck({ neck }: ShirtShape, colour: Colour, view: View): string {
  const depth = view === 'back' ? 34 : 96;
  const opening = `M ${middle - 105} ${top} Q ${middle} ${top + depth * 2}, ${middle + 105} ${top} Q ${middle} ${top + 30}, ${middle - 105} ${top} Z`;
  const inside =
    view === 'back'
      ? ''
      : `<path d="${opening}" fill="${darken(colour.hex, 0.45)}"/><rect x="${middle - 24}" y="${top + 20}" width="48" height="22" fill="#f4f1ea"/>`;
  const edge = `M ${middle - 105} ${top} Q ${middle} ${top + depth * 2}, ${middle + 105} ${top}`;
  const rib = `<path d="${edge}" fill="none" stroke="${darken(colour.hex, 0.14)}" stroke-width="24"/>${drawStitching(`M ${middle - 122} ${top + 14} Q ${middle} ${top + depth * 2 + 32}, ${middle + 122} ${top + 14}`, darken(colour.hex, 0.45))}`;
  return inside + rib + (neck === 'polo' ? drawCollar(colour, view) : '');
}

function drawCollar(colour: Colour, view: View): string {
  const fill = `fill="${lighten(colour.hex, 0.08)}" stroke="${darken(colour.hex, 0.35)}" stroke-width="3"`;
  if (view === 'back') {
    return `<path d="M ${middle - 122} ${top + 4} Q ${middle} ${top - 36}, ${middle + 122} ${top + 4} L ${middle + 132} ${top + 48} Q ${middle} ${top + 96}, ${middle - 132} ${top + 48} Z" ${fill}/>`;
  }
  const collarHalf = `<path d="M ${middle - 112} ${top - 12} Q ${middle - 60} ${top + 70}, ${middle} ${top + 98} L ${middle - 66} ${top + 150} Q ${middle - 120} ${top + 90}, ${middle - 136} ${top + 14} Z" ${fill}/>`;
  const buttons = [130, 185, 240].map(
    (y) =>
      `<circle cx="${middle}" cy="${top + y}" r="8.5" fill="${colour.accent}" stroke="#0004" stroke-width="2"/>`,
  );
  return `<rect x="${middle - 24}" y="${top + 92}" width="48" height="176" rx="5" fill="${colour.hex}" stroke="${darken(colour.hex, 0.35)}" stroke-width="3"/>${buttons.join('')}${collarHalf}${mirror(collarHalf)}`;
}
