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

interface MugShape {
  /** Half the width at the rim. */
  readonly rimRadius: number;
  /** Half the width at the foot. */
  readonly footRadius: number;
  /** Y coordinate of the rim. */
  readonly rimY: number;
  /** How far the handle sticks out. */
  readonly handleWidth: number;
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
      detail: { x: 520, y: shape.rimY - 40, size: 430 },
      floorContact: { x: view === 'back' ? 1000 - middle : middle, y: floor, radius: shape.footRadius },
    };
  },
};

function chooseShape(random: Random): MugShape {
  const rimRadius = random.between(205, 250);
  return {
    rimRadius,
    footRadius: rimRadius * random.between(0.72, 0.98),
    rimY: random.between(250, 360),
    handleWidth: random.between(120, 165),
    pattern: random.pick(['bands', 'dipped', 'dots', 'plain']),
  };
}

function drawHandle({ rimRadius, rimY, handleWidth }: MugShape, colour: Colour): string {
  const x = middle + rimRadius - 30;
  const y = rimY + 90;
  const loop = `M ${x} ${y} C ${x + handleWidth * 1.5} ${y - 40}, ${x + handleWidth * 1.5} ${y + 310}, ${x - 20} ${y + 270}`;
  const drawStroke = (hex: string, width: number) =>
    `<path d="${loop}" fill="none" stroke="${hex}" stroke-width="${width}" stroke-linecap="round"/>`;
  return (
    defineBlur('handle-blur', 7) +
    drawStroke(darken(colour.hex, 0.45), 50) +
    drawStroke(darken(colour.hex, 0.15), 40) +
    drawSoftStrokes('handle-blur', [[loop, lighten(colour.hex, 0.55), 13, 0.75]])
  );
}

function makeCupOutline({ rimRadius, footRadius, rimY }: MugShape): string {
  const [left, right] = [middle - rimRadius, middle + rimRadius];
  const [footLeft, footRight] = [middle - footRadius, middle + footRadius];
  return (
    `M ${left} ${rimY} C ${left + 4} ${rimY + 240}, ${footLeft - 6} ${floor - 120}, ${footLeft + 12} ${floor - 26} ` +
    `Q ${footLeft + 16} ${floor + 4}, ${footLeft + 60} ${floor + 12} Q ${middle} ${floor + 34}, ${footRight - 60} ${floor + 12} ` +
    `Q ${footRight - 16} ${floor + 4}, ${footRight - 12} ${floor - 26} C ${footRight + 6} ${floor - 120}, ${right - 4} ${rimY + 240}, ${right} ${rimY} Z`
  );
}

function drawCup(shape: MugShape, colour: Colour, isBack: boolean): string {
  const outline = makeCupOutline(shape);
  const shine = `M ${middle - shape.rimRadius * 0.52} ${shape.rimY + 90} Q ${middle - shape.footRadius * 0.56} ${floor - 200}, ${middle - shape.footRadius * 0.5} ${floor - 90}`;
  return (
    defineRoundShading('cup', colour.hex) +
    defineRoundShading('glaze', colour.accent) +
    defineBlur('shine', 12) +
    `<defs><clipPath id="cup-clip"><path d="${outline}"/></clipPath></defs><path d="${outline}" fill="url(#cup)"/>` +
    `<g clip-path="url(#cup-clip)">${drawPattern(shape, isBack)}` +
    `<ellipse cx="${middle}" cy="${floor + 34}" rx="${shape.footRadius * 1.1}" ry="60" fill="#000" opacity="0.28" filter="url(#shine)"/></g>` +
    drawSoftStrokes('shine', [[shine, '#ffffff', 22, 0.5]])
  );
}

function drawPattern({ pattern, rimRadius, rimY }: MugShape, isBack: boolean): string {
  const left = middle - rimRadius;
  // Bands curve like the rim, because the mug is seen from slightly above.
  const drawBand = (y: number, height: number) =>
    `<path d="M ${left} ${y} Q ${middle} ${y + 62}, ${left + rimRadius * 2} ${y} v ${height} Q ${middle} ${y + height + 62}, ${left} ${y + height} Z" fill="url(#glaze)"/>`;
  const drawings: Record<MugShape['pattern'], () => string> = {
    plain: () => (isBack ? '' : drawBand(rimY + 175, 120)),
    bands: () =>
      drawBand(rimY + 120, 34) + drawBand(rimY + 180, 12) + (isBack ? '' : drawBand(floor - 170, 34)),
    dipped: () => drawBand(floor - (isBack ? 120 : 210), 300),
    dots: () => drawDots(rimY, rimRadius, isBack ? 2 : 5),
  };
  return drawings[pattern]();
}

function drawDots(rimY: number, rimRadius: number, rows: number): string {
  return Array.from({ length: rows * 6 }, (_, index) => {
    const [row, column] = [Math.floor(index / 6), index % 6];
    // On a round wall, dots look closer together towards the edges.
    const angle = ((column + (row % 2) / 2) / 6) * Math.PI - Math.PI / 2 + 0.12;
    const [x, y] = [
      middle + Math.sin(angle) * rimRadius * 0.94,
      rimY + 120 + row * 78 + Math.cos(angle) * 28,
    ];
    return `<ellipse cx="${x}" cy="${y}" rx="${4 + 16 * Math.cos(angle)}" ry="19" fill="url(#glaze)"/>`;
  }).join('');
}

function drawRim({ rimRadius, rimY }: MugShape, colour: Colour): string {
  const drawEllipse = (shrink: number, fill: string) =>
    `<ellipse cx="${middle}" cy="${rimY}" rx="${rimRadius - shrink}" ry="${46 - shrink * 0.7}" fill="${fill}"/>`;
  const insideGradient = defineGradient('inside', [
    [0, darken(colour.accent, 0.5)],
    [0.5, darken(colour.accent, 0.22)],
    [1, lighten(colour.accent, 0.3)],
  ]);
  return (
    insideGradient +
    drawEllipse(0, darken(colour.hex, 0.1)) +
    drawEllipse(4, lighten(colour.hex, 0.45)) +
    drawEllipse(13, 'url(#inside)')
  );
}
