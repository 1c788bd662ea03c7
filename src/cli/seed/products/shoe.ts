import { type Colour, darken, lighten } from '../colours.ts';
import {
  defineBlur,
  clipTo,
  defineGradient,
  mirror,
  type ProductKind,
  drawSoftStrokes,
  drawStitching,
  type View,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface ShoeShape {
  /** Y coordinate of the upper edge at the ankle. */
  readonly ankleY: number;
  /** Height of the sole. */
  readonly soleHeight: number;
  readonly soleColour: string;
  readonly sidePattern: 'bands' | 'chevrons' | 'panel';
  readonly hasToeCap: boolean;
}

const floor = 740;

/** Sneakers, seen from the side with the toe to the left. */
export const shoe: ProductKind = {
  name: 'shoe',
  prefix: 'SHO',
  aspect: 4 / 3,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    const body = drawUpper(shape, colour, view) + drawSole(shape, colour);
    return {
      body: view === 'back' ? mirror(body) : body,
      detail: { x: 400, y: shape.ankleY - 20, size: 400 },
      floorContact: { x: 500, y: floor, radius: 385 },
    };
  },
};

function chooseShape(random: Random): ShoeShape {
  return {
    ankleY: random.pick([random.between(275, 310), random.between(385, 410)]),
    soleHeight: random.between(56, 84),
    soleColour: random.pick(['#f3f1ea', '#e9dcc3', '#f8f8f8']),
    sidePattern: random.pick(['bands', 'chevrons', 'panel']),
    hasToeCap: random.chance(0.5),
  };
}

function makeUpperOutline({ ankleY, soleHeight }: ShoeShape): string {
  const baseY = floor - soleHeight + 14;
  return (
    `M 130 ${baseY} C 112 ${baseY - 70}, 150 ${baseY - 112}, 232 ${baseY - 128} C 330 ${baseY - 146}, 400 ${baseY - 190}, 470 ${ankleY + 62} ` +
    `C 500 ${ankleY + 20}, 530 ${ankleY - 2}, 566 ${ankleY} C 600 ${ankleY + 34}, 700 ${ankleY + 46}, 752 ${ankleY + 8} C 780 ${ankleY - 14}, 830 ${ankleY - 6}, 836 ${ankleY + 22} ` +
    `C 840 ${ankleY + 90}, 868 ${baseY - 110}, 872 ${baseY} Z`
  );
}

function drawUpper(shape: ShoeShape, colour: Colour, view: View): string {
  const outline = makeUpperOutline(shape);
  const baseY = floor - shape.soleHeight + 14;
  const clothGradient = defineGradient(
    'upper',
    [
      [0, lighten(colour.hex, 0.2)],
      [0.55, colour.hex],
      [1, darken(colour.hex, 0.35)],
    ],
    'down',
  );
  const toe = shape.hasToeCap
    ? `<path d="M 100 ${baseY} V ${baseY - 150} H 235 Q 300 ${baseY - 80}, 262 ${baseY} Z" fill="${lighten(shape.soleColour, 0.15)}"/>${drawStitching(`M 236 ${baseY - 128} Q 300 ${baseY - 70}, 264 ${baseY}`, darken(colour.hex, 0.3))}`
    : `<path d="M 100 ${baseY} V ${baseY - 120} Q 240 ${baseY - 110}, 330 ${baseY} Z" fill="${darken(colour.hex, 0.16)}"/>`;
  const shading = drawSoftStrokes('upper-blur', [
    [`M 150 ${baseY - 8} H 860`, '#000', 26, 0.35],
    [
      `M 190 ${baseY - 105} C 330 ${baseY - 125}, 400 ${baseY - 165}, 470 ${shape.ankleY + 90}`,
      '#fff',
      20,
      0.3,
    ],
    [`M 856 ${shape.ankleY + 60} L 876 ${baseY}`, '#000', 40, 0.35],
  ]);
  return (
    clothGradient +
    defineBlur('upper-blur', 13) +
    drawOpening(shape, colour) +
    `<path d="${outline}" fill="url(#upper)"/>` +
    clipTo('upper-clip', outline, toe + drawHeel(shape, colour) + drawSide(shape, colour, view) + shading) +
    drawLaces(shape, colour)
  );
}

function drawOpening({ ankleY }: ShoeShape, colour: Colour): string {
  return (
    `<path d="M 470 ${ankleY + 66} C 490 ${ankleY - 10}, 520 ${ankleY - 52}, 572 ${ankleY - 46} L 604 ${ankleY + 50} Z" fill="${lighten(colour.hex, 0.1)}" stroke="${darken(colour.hex, 0.3)}" stroke-width="3"/>` +
    `<path d="M 556 ${ankleY + 4} C 600 ${ankleY - 22}, 720 ${ankleY - 20}, 790 ${ankleY + 4} L 780 ${ankleY + 60} H 580 Z" fill="${darken(colour.hex, 0.6)}"/>`
  );
}

function drawHeel({ ankleY, soleHeight }: ShoeShape, colour: Colour): string {
  const baseY = floor - soleHeight + 14;
  const path = `M 768 ${ankleY - 20} Q 742 ${ankleY + 110}, 722 ${baseY} H 900 V ${ankleY - 20} Z`;
  return `<path d="${path}" fill="${darken(colour.hex, 0.22)}"/>${drawStitching(`M 758 ${ankleY + 20} Q 734 ${ankleY + 120}, 712 ${baseY}`, colour.accent)}<rect x="790" y="${ankleY + 26}" width="64" height="54" rx="8" fill="${colour.accent}"/>`;
}

function drawSide({ sidePattern, soleHeight }: ShoeShape, colour: Colour, view: View): string {
  const baseY = floor - soleHeight + 14;
  if (view === 'back') {
    return [0, 1, 2, 3]
      .map(
        (hole) =>
          `<circle cx="${520 + hole * 44}" cy="${baseY - 70}" r="10" fill="${darken(colour.hex, 0.65)}"/>`,
      )
      .join('');
  }
  const ink = colour.accent;
  const drawings: Record<ShoeShape['sidePattern'], () => string> = {
    bands: () =>
      `<path d="M 452 ${baseY} L 566 ${baseY - 200} h 62 L 530 ${baseY} Z" fill="${ink}"/><path d="M 556 ${baseY} L 652 ${baseY - 200} h 18 L 580 ${baseY} Z" fill="${ink}"/>`,
    chevrons: () =>
      [0, 1, 2]
        .map(
          (step) =>
            `<path d="M ${450 + step * 82} ${baseY - 30} l 56 -52 l -30 -64" fill="none" stroke="${ink}" stroke-width="17" stroke-linejoin="round"/>`,
        )
        .join(''),
    panel: () =>
      `<path d="M 400 ${baseY} L 500 ${baseY - 150} L 690 ${baseY - 120} L 716 ${baseY} Z" fill="${darken(colour.hex, 0.2)}"/>${drawStitching(`M 412 ${baseY} L 506 ${baseY - 140} L 682 ${baseY - 112} L 704 ${baseY}`, ink)}<circle cx="592" cy="${baseY - 66}" r="34" fill="${ink}"/>`,
  };
  return drawings[sidePattern]();
}

function drawLaces({ ankleY, soleHeight }: ShoeShape, colour: Colour): string {
  const from = { x: 318, y: floor - soleHeight - 132 };
  const to = { x: 500, y: ankleY + 40 };
  const count = ankleY < 350 ? 7 : 5;
  const lace = lighten(colour.accent, 0.25);
  return Array.from({ length: count }, (_, index) => {
    const fraction = index / (count - 1);
    const [x, y] = [from.x + (to.x - from.x) * fraction, from.y + (to.y - from.y) * fraction ** 1.15];
    const path = `M ${x - 6} ${y - 12} q 34 4 56 44`;
    return (
      `<circle cx="${x + 50}" cy="${y + 34}" r="9" fill="${darken(colour.hex, 0.55)}"/>` +
      `<path d="${path}" fill="none" stroke="#0006" stroke-width="17" stroke-linecap="round" transform="translate(2 4)"/>` +
      `<path d="${path}" fill="none" stroke="${lace}" stroke-width="14" stroke-linecap="round"/>`
    );
  }).join('');
}

function drawSole({ soleHeight, soleColour }: ShoeShape, colour: Colour): string {
  const y = floor - soleHeight;
  const outline = `M 116 ${y + 18} Q 500 ${y - 6}, 884 ${y + 4} Q 902 ${y + 40}, 884 ${floor} H 170 Q 92 ${floor - 8}, 116 ${y + 18} Z`;
  const treads = Array.from(
    { length: 26 },
    (_, index) =>
      `<rect x="${168 + index * 27.6}" y="${floor - 15}" width="15" height="15" fill="${darken(soleColour, 0.35)}"/>`,
  );
  return (
    defineGradient(
      'sole',
      [
        [0, lighten(soleColour, 0.5)],
        [0.5, soleColour],
        [1, darken(soleColour, 0.3)],
      ],
      'down',
    ) +
    `<path d="${outline}" fill="url(#sole)"/>${clipTo('sole-clip', outline, treads.join(''))}` +
    `<path d="M 112 ${y + soleHeight * 0.5} Q 500 ${y + soleHeight * 0.34}, 892 ${y + soleHeight * 0.4}" fill="none" stroke="${colour.accent}" stroke-width="6" opacity="0.9"/>`
  );
}
