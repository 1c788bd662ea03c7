import { type Colour, darker, lighter } from '../colours.ts';
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
  readonly ankle: number;
  /** Height of the sole. */
  readonly sole: number;
  readonly soleColour: string;
  readonly side: 'bands' | 'chevrons' | 'panel';
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
      detail: { x: 400, y: shape.ankle - 20, size: 400 },
      floorContact: { x: 500, y: floor, radius: 385 },
    };
  },
};

function chooseShape(random: Random): ShoeShape {
  return {
    ankle: random.pick([random.between(275, 310), random.between(385, 410)]),
    sole: random.between(56, 84),
    soleColour: random.pick(['#f3f1ea', '#e9dcc3', '#f8f8f8']),
    side: random.pick(['bands', 'chevrons', 'panel']),
    hasToeCap: random.chance(0.5),
  };
}

function upperOutline({ ankle, sole }: ShoeShape): string {
  const base = floor - sole + 14;
  return (
    `M 130 ${base} C 112 ${base - 70}, 150 ${base - 112}, 232 ${base - 128} C 330 ${base - 146}, 400 ${base - 190}, 470 ${ankle + 62} ` +
    `C 500 ${ankle + 20}, 530 ${ankle - 2}, 566 ${ankle} C 600 ${ankle + 34}, 700 ${ankle + 46}, 752 ${ankle + 8} C 780 ${ankle - 14}, 830 ${ankle - 6}, 836 ${ankle + 22} ` +
    `C 840 ${ankle + 90}, 868 ${base - 110}, 872 ${base} Z`
  );
}

function drawUpper(shape: ShoeShape, colour: Colour, view: View): string {
  const outline = upperOutline(shape);
  const base = floor - shape.sole + 14;
  const cloth = defineGradient(
    'upper',
    [
      [0, lighter(colour.hex, 0.2)],
      [0.55, colour.hex],
      [1, darker(colour.hex, 0.35)],
    ],
    'down',
  );
  const toe = shape.hasToeCap
    ? `<path d="M 100 ${base} V ${base - 150} H 235 Q 300 ${base - 80}, 262 ${base} Z" fill="${lighter(shape.soleColour, 0.15)}"/>${drawStitching(`M 236 ${base - 128} Q 300 ${base - 70}, 264 ${base}`, darker(colour.hex, 0.3))}`
    : `<path d="M 100 ${base} V ${base - 120} Q 240 ${base - 110}, 330 ${base} Z" fill="${darker(colour.hex, 0.16)}"/>`;
  const shading = drawSoftStrokes('upper-blur', [
    [`M 150 ${base - 8} H 860`, '#000', 26, 0.35],
    [`M 190 ${base - 105} C 330 ${base - 125}, 400 ${base - 165}, 470 ${shape.ankle + 90}`, '#fff', 20, 0.3],
    [`M 856 ${shape.ankle + 60} L 876 ${base}`, '#000', 40, 0.35],
  ]);
  return (
    cloth +
    defineBlur('upper-blur', 13) +
    drawOpening(shape, colour) +
    `<path d="${outline}" fill="url(#upper)"/>` +
    clipTo('upper-clip', outline, toe + drawHeel(shape, colour) + drawSide(shape, colour, view) + shading) +
    drawLaces(shape, colour)
  );
}

function drawOpening({ ankle }: ShoeShape, colour: Colour): string {
  return (
    `<path d="M 470 ${ankle + 66} C 490 ${ankle - 10}, 520 ${ankle - 52}, 572 ${ankle - 46} L 604 ${ankle + 50} Z" fill="${lighter(colour.hex, 0.1)}" stroke="${darker(colour.hex, 0.3)}" stroke-width="3"/>` +
    `<path d="M 556 ${ankle + 4} C 600 ${ankle - 22}, 720 ${ankle - 20}, 790 ${ankle + 4} L 780 ${ankle + 60} H 580 Z" fill="${darker(colour.hex, 0.6)}"/>`
  );
}

function drawHeel({ ankle, sole }: ShoeShape, colour: Colour): string {
  const base = floor - sole + 14;
  const path = `M 768 ${ankle - 20} Q 742 ${ankle + 110}, 722 ${base} H 900 V ${ankle - 20} Z`;
  return `<path d="${path}" fill="${darker(colour.hex, 0.22)}"/>${drawStitching(`M 758 ${ankle + 20} Q 734 ${ankle + 120}, 712 ${base}`, colour.accent)}<rect x="790" y="${ankle + 26}" width="64" height="54" rx="8" fill="${colour.accent}"/>`;
}

function drawSide({ side, sole }: ShoeShape, colour: Colour, view: View): string {
  const base = floor - sole + 14;
  if (view === 'back') {
    return [0, 1, 2, 3]
      .map(
        (hole) =>
          `<circle cx="${520 + hole * 44}" cy="${base - 70}" r="10" fill="${darker(colour.hex, 0.65)}"/>`,
      )
      .join('');
  }
  const ink = colour.accent;
  const drawings: Record<ShoeShape['side'], () => string> = {
    bands: () =>
      `<path d="M 452 ${base} L 566 ${base - 200} h 62 L 530 ${base} Z" fill="${ink}"/><path d="M 556 ${base} L 652 ${base - 200} h 18 L 580 ${base} Z" fill="${ink}"/>`,
    chevrons: () =>
      [0, 1, 2]
        .map(
          (step) =>
            `<path d="M ${450 + step * 82} ${base - 30} l 56 -52 l -30 -64" fill="none" stroke="${ink}" stroke-width="17" stroke-linejoin="round"/>`,
        )
        .join(''),
    panel: () =>
      `<path d="M 400 ${base} L 500 ${base - 150} L 690 ${base - 120} L 716 ${base} Z" fill="${darker(colour.hex, 0.2)}"/>${drawStitching(`M 412 ${base} L 506 ${base - 140} L 682 ${base - 112} L 704 ${base}`, ink)}<circle cx="592" cy="${base - 66}" r="34" fill="${ink}"/>`,
  };
  return drawings[side]();
}

function drawLaces({ ankle, sole }: ShoeShape, colour: Colour): string {
  const from = { x: 318, y: floor - sole - 132 };
  const to = { x: 500, y: ankle + 40 };
  const count = ankle < 350 ? 7 : 5;
  const lace = lighter(colour.accent, 0.25);
  return Array.from({ length: count }, (_, index) => {
    const fraction = index / (count - 1);
    const [x, y] = [from.x + (to.x - from.x) * fraction, from.y + (to.y - from.y) * fraction ** 1.15];
    const path = `M ${x - 6} ${y - 12} q 34 4 56 44`;
    return (
      `<circle cx="${x + 50}" cy="${y + 34}" r="9" fill="${darker(colour.hex, 0.55)}"/>` +
      `<path d="${path}" fill="none" stroke="#0006" stroke-width="17" stroke-linecap="round" transform="translate(2 4)"/>` +
      `<path d="${path}" fill="none" stroke="${lace}" stroke-width="14" stroke-linecap="round"/>`
    );
  }).join('');
}

function drawSole({ sole, soleColour }: ShoeShape, colour: Colour): string {
  const y = floor - sole;
  const outline = `M 116 ${y + 18} Q 500 ${y - 6}, 884 ${y + 4} Q 902 ${y + 40}, 884 ${floor} H 170 Q 92 ${floor - 8}, 116 ${y + 18} Z`;
  const treads = Array.from(
    { length: 26 },
    (_, index) =>
      `<rect x="${168 + index * 27.6}" y="${floor - 15}" width="15" height="15" fill="${darker(soleColour, 0.35)}"/>`,
  );
  return (
    defineGradient(
      'sole',
      [
        [0, lighter(soleColour, 0.5)],
        [0.5, soleColour],
        [1, darker(soleColour, 0.3)],
      ],
      'down',
    ) +
    `<path d="${outline}" fill="url(#sole)"/>${clipTo('sole-clip', outline, treads.join(''))}` +
    `<path d="M 112 ${y + sole * 0.5} Q 500 ${y + sole * 0.34}, 892 ${y + sole * 0.4}" fill="none" stroke="${colour.accent}" stroke-width="6" opacity="0.9"/>`
  );
}
