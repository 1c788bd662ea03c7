import { type Colour, darker, lighter } from '../colours.ts';
import {
  defineBlur,
  defineGradient,
  mirror,
  type ProductKind,
  defineRoundShading,
  drawSoftStrokes,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface MugShape {
  /** Half the width at the rim. */
  readonly rim: number;
  /** Half the width at the foot. */
  readonly foot: number;
  /** Y coordinate of the rim. */
  readonly top: number;
  /** How far the handle sticks out. */
  readonly handle: number;
  readonly pattern: 'plain' | 'bands' | 'dipped' | 'dots';
}

const floor = 800;
const middle = 450;

/** Stoneware mugs, cylindrical or tapered, with a handle and a glaze pattern. */
export const mug: ProductKind = {
  name: 'mug',
  prefix: 'MUG',
  aspect: 1,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    const body = drawHandle(shape, colour) + drawCup(shape, colour, view === 'back') + drawRim(shape, colour);
    return {
      body: view === 'back' ? mirror(body) : body,
      detail: { x: 520, y: shape.top - 40, size: 430 },
      floorContact: { x: view === 'back' ? 1000 - middle : middle, y: floor, radius: shape.foot },
    };
  },
};

function chooseShape(random: Random): MugShape {
  const rim = random.between(205, 250);
  return {
    rim,
    foot: rim * random.between(0.72, 0.98),
    top: random.between(250, 360),
    handle: random.between(120, 165),
    pattern: random.pick(['bands', 'dipped', 'dots', 'plain']),
  };
}

function drawHandle({ rim, top, handle }: MugShape, colour: Colour): string {
  const x = middle + rim - 30;
  const y = top + 90;
  const loop = `M ${x} ${y} C ${x + handle * 1.5} ${y - 40}, ${x + handle * 1.5} ${y + 310}, ${x - 20} ${y + 270}`;
  const stroke = (hex: string, width: number) =>
    `<path d="${loop}" fill="none" stroke="${hex}" stroke-width="${width}" stroke-linecap="round"/>`;
  return (
    defineBlur('handle-blur', 7) +
    stroke(darker(colour.hex, 0.45), 50) +
    stroke(darker(colour.hex, 0.15), 40) +
    drawSoftStrokes('handle-blur', [[loop, lighter(colour.hex, 0.55), 13, 0.75]])
  );
}

function cupOutline({ rim, foot, top }: MugShape): string {
  const [left, right] = [middle - rim, middle + rim];
  const [footLeft, footRight] = [middle - foot, middle + foot];
  return (
    `M ${left} ${top} C ${left + 4} ${top + 240}, ${footLeft - 6} ${floor - 120}, ${footLeft + 12} ${floor - 26} ` +
    `Q ${footLeft + 16} ${floor + 4}, ${footLeft + 60} ${floor + 12} Q ${middle} ${floor + 34}, ${footRight - 60} ${floor + 12} ` +
    `Q ${footRight - 16} ${floor + 4}, ${footRight - 12} ${floor - 26} C ${footRight + 6} ${floor - 120}, ${right - 4} ${top + 240}, ${right} ${top} Z`
  );
}

function drawCup(shape: MugShape, colour: Colour, isBack: boolean): string {
  const outline = cupOutline(shape);
  const shine = `M ${middle - shape.rim * 0.52} ${shape.top + 90} Q ${middle - shape.foot * 0.56} ${floor - 200}, ${middle - shape.foot * 0.5} ${floor - 90}`;
  return (
    defineRoundShading('cup', colour.hex) +
    defineRoundShading('glaze', colour.accent) +
    defineBlur('shine', 12) +
    `<defs><clipPath id="cup-clip"><path d="${outline}"/></clipPath></defs><path d="${outline}" fill="url(#cup)"/>` +
    `<g clip-path="url(#cup-clip)">${drawPattern(shape, isBack)}` +
    `<ellipse cx="${middle}" cy="${floor + 34}" rx="${shape.foot * 1.1}" ry="60" fill="#000" opacity="0.28" filter="url(#shine)"/></g>` +
    drawSoftStrokes('shine', [[shine, '#ffffff', 22, 0.5]])
  );
}

function drawPattern({ pattern, rim, top }: MugShape, isBack: boolean): string {
  const left = middle - rim;
  // Bands curve like the rim, because the mug is seen from slightly above.
  const drawBand = (y: number, height: number) =>
    `<path d="M ${left} ${y} Q ${middle} ${y + 62}, ${left + rim * 2} ${y} v ${height} Q ${middle} ${y + height + 62}, ${left} ${y + height} Z" fill="url(#glaze)"/>`;
  const drawings: Record<MugShape['pattern'], () => string> = {
    plain: () => (isBack ? '' : drawBand(top + 175, 120)),
    bands: () =>
      drawBand(top + 120, 34) + drawBand(top + 180, 12) + (isBack ? '' : drawBand(floor - 170, 34)),
    dipped: () => drawBand(floor - (isBack ? 120 : 210), 300),
    dots: () => drawDots(top, rim, isBack ? 2 : 5),
  };
  return drawings[pattern]();
}

function drawDots(top: number, rim: number, rows: number): string {
  return Array.from({ length: rows * 6 }, (_, index) => {
    const [row, column] = [Math.floor(index / 6), index % 6];
    // On a round wall, dots look closer together towards the edges.
    const angle = ((column + (row % 2) / 2) / 6) * Math.PI - Math.PI / 2 + 0.12;
    const [x, y] = [middle + Math.sin(angle) * rim * 0.94, top + 120 + row * 78 + Math.cos(angle) * 28];
    return `<ellipse cx="${x}" cy="${y}" rx="${4 + 16 * Math.cos(angle)}" ry="19" fill="url(#glaze)"/>`;
  }).join('');
}

function drawRim({ rim, top }: MugShape, colour: Colour): string {
  const ellipse = (shrink: number, fill: string) =>
    `<ellipse cx="${middle}" cy="${top}" rx="${rim - shrink}" ry="${46 - shrink * 0.7}" fill="${fill}"/>`;
  const inside = defineGradient('inside', [
    [0, darker(colour.accent, 0.5)],
    [0.5, darker(colour.accent, 0.22)],
    [1, lighter(colour.accent, 0.3)],
  ]);
  return (
    inside +
    ellipse(0, darker(colour.hex, 0.1)) +
    ellipse(4, lighter(colour.hex, 0.45)) +
    ellipse(13, 'url(#inside)')
  );
}
