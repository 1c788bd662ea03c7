import { type Colour, darken, lighten } from '../colours.ts';
import {
  defineBlur,
  defineGradient,
  type ProductKind,
  defineRoundShading,
  drawStitching,
  type View,
} from '../drawing.ts';
import type { Random } from '../random.ts';

interface WatchShape {
  readonly radius: number;
  /** Half the width of the strap. */
  readonly strapHalfWidth: number;
  readonly metal: 'steel' | 'gold' | 'black';
  readonly dial: 'light' | 'dark' | 'colour';
  readonly marks: 'bars' | 'dots';
  readonly hasSubDial: boolean;
}

const metals = { steel: '#b9bdc3', gold: '#c9a052', black: '#3b3c40' } as const;
const middle = 500;

/** Wristwatches with a leather strap. */
export const watch: ProductKind = {
  name: 'watch',
  prefix: 'WCH',
  aspect: 0.8,
  draw(colour, view, random) {
    const shape = chooseShape(random);
    const face = view === 'back' ? drawCaseBack(shape) : drawDial(shape, colour);
    return {
      body: drawStrap(shape, colour, view) + drawCase(shape) + face,
      detail: { x: 480, y: 300, size: 330 },
    };
  },
};

function chooseShape(random: Random): WatchShape {
  const radius = random.between(165, 205);
  return {
    radius,
    strapHalfWidth: radius * random.between(0.5, 0.62),
    metal: random.pick(['steel', 'gold', 'black']),
    dial: random.pick(['light', 'dark', 'colour']),
    marks: random.pick(['bars', 'dots']),
    hasSubDial: random.chance(0.5),
  };
}

function drawStrap({ strapHalfWidth, radius, metal }: WatchShape, colour: Colour, view: View): string {
  const hex = view === 'back' ? lighten(darken(colour.hex, 0.15), 0.18) : colour.hex;
  const [left, right, endHalfWidth] = [
    middle - strapHalfWidth,
    middle + strapHalfWidth,
    strapHalfWidth * 0.8,
  ];
  const upper = `M ${left} ${500 - radius * 0.8} L ${middle - endHalfWidth} 70 Q ${middle} 40, ${middle + endHalfWidth} 70 L ${right} ${500 - radius * 0.8} Z`;
  const lower = `M ${left} ${500 + radius * 0.8} L ${middle - endHalfWidth} 880 Q ${middle} 990, ${middle + endHalfWidth} 880 L ${right} ${500 + radius * 0.8} Z`;
  const drawSeam = (side: number) =>
    drawStitching(
      `M ${middle + side * (strapHalfWidth - 16)} ${500 - radius * 0.95} L ${middle + side * (endHalfWidth - 15)} 92`,
      colour.accent,
    ) +
    drawStitching(
      `M ${middle + side * (strapHalfWidth - 16)} ${500 + radius * 0.95} L ${middle + side * (endHalfWidth - 15)} 880`,
      colour.accent,
    );
  const holes = [740, 785, 830, 875].map(
    (y) => `<ellipse cx="${middle}" cy="${y}" rx="9" ry="10" fill="${darken(hex, 0.75)}"/>`,
  );
  const buckle = `<rect x="${middle - endHalfWidth - 16}" y="48" width="${endHalfWidth * 2 + 32}" height="44" rx="12" fill="none" stroke="${metals[metal]}" stroke-width="13"/>`;
  return `${defineRoundShading('strap', hex)}<path d="${upper}" fill="url(#strap)"/><path d="${lower}" fill="url(#strap)"/>${drawSeam(-1)}${drawSeam(1)}${holes.join('')}${buckle}`;
}

function drawCase({ radius, strapHalfWidth, metal }: WatchShape): string {
  const hex = metals[metal];
  const lugs = [-1, 1].map(
    (side) =>
      `<rect x="${middle + side * strapHalfWidth - 22}" y="${500 - radius * 1.12}" width="44" height="${radius * 2.24}" rx="18" fill="url(#metal)"/>`,
  );
  const metalGradient = defineGradient('metal', [
    [0, lighten(hex, 0.55)],
    [0.3, hex],
    [0.55, darken(hex, 0.35)],
    [0.75, lighten(hex, 0.4)],
    [1, darken(hex, 0.3)],
  ]);
  const crown = `<rect x="${middle + radius - 4}" y="478" width="32" height="44" rx="8" fill="url(#metal)"/>`;
  return (
    metalGradient +
    defineGradient(
      'bezel',
      [
        [0, lighten(hex, 0.75)],
        [0.5, darken(hex, 0.15)],
        [1, darken(hex, 0.5)],
      ],
      'down',
    ) +
    `${lugs.join('')}${crown}<circle cx="${middle}" cy="500" r="${radius}" fill="url(#metal)"/>` +
    `<circle cx="${middle}" cy="500" r="${radius - 9}" fill="none" stroke="url(#bezel)" stroke-width="17"/>`
  );
}

function drawDial(shape: WatchShape, colour: Colour): string {
  const hex = { light: '#f4f2ec', dark: '#24262b', colour: darken(colour.hex, 0.25) }[shape.dial];
  const ink = shape.dial === 'light' ? '#26282c' : '#f2efe8';
  const dialRadius = shape.radius - 20;
  const shading = defineGradient(
    'dial',
    [
      [0, lighten(hex, 0.22)],
      [1, darken(hex, 0.28)],
    ],
    'down',
  );
  const subDial = `<circle cx="${middle}" cy="${500 + dialRadius * 0.5}" r="${dialRadius * 0.24}" fill="none" stroke="${ink}" stroke-width="2.5" opacity="0.75"/>${drawHand(180, dialRadius * 0.18, 3, ink, 500 + dialRadius * 0.5)}`;
  return (
    `${shading}${defineBlur('glass', 14)}<circle cx="${middle}" cy="500" r="${dialRadius}" fill="url(#dial)"/>${drawMarks(shape, dialRadius, ink)}` +
    (shape.hasSubDial
      ? subDial
      : `<rect x="${middle + dialRadius * 0.5}" y="482" width="44" height="36" rx="4" fill="#fff" stroke="${ink}" stroke-width="2"/>`) +
    `${drawHand(305, dialRadius * 0.52, 11, ink)}${drawHand(58, dialRadius * 0.78, 8, ink)}${drawHand(200, dialRadius * 0.82, 2.5, '#d1462f')}` +
    `<circle cx="${middle}" cy="500" r="10" fill="${ink}"/>` +
    `<path d="M ${middle - dialRadius * 0.7} ${500 - dialRadius * 0.1} A ${dialRadius * 0.75} ${dialRadius * 0.75} 0 0 1 ${middle + dialRadius * 0.1} ${500 - dialRadius * 0.72}" stroke="#fff" stroke-width="26" fill="none" opacity="0.28" filter="url(#glass)"/>`
  );
}

function drawMarks({ marks }: WatchShape, dialRadius: number, ink: string): string {
  return Array.from({ length: 60 }, (_, minute) => {
    const isHour = minute % 5 === 0;
    const rotation = `transform="rotate(${minute * 6} ${middle} 500)"`;
    if (!isHour)
      return `<rect x="${middle - 1}" y="${500 - dialRadius + 8}" width="2" height="9" fill="${ink}" opacity="0.7" ${rotation}/>`;
    if (marks === 'dots')
      return `<circle cx="${middle}" cy="${500 - dialRadius + 22}" r="8" fill="${ink}" ${rotation}/>`;
    return `<rect x="${middle - 4.5}" y="${500 - dialRadius + 10}" width="9" height="${minute % 15 === 0 ? 36 : 24}" rx="2" fill="${ink}" ${rotation}/>`;
  }).join('');
}

function drawHand(degrees: number, length: number, width: number, colour: string, y = 500): string {
  const drawBar = (dx: number, fill: string, opacity: number) =>
    `<rect x="${middle - width / 2 + dx}" y="${y - length + dx}" width="${width}" height="${length + 20}" rx="${width / 2}" fill="${fill}" opacity="${opacity}"/>`;
  return `<g transform="rotate(${degrees} ${middle} ${y})">${drawBar(4, '#000', 0.25)}${drawBar(0, colour, 1)}</g>`;
}

function drawCaseBack({ radius, metal }: WatchShape): string {
  const hex = metals[metal];
  const drawRing = (r: number) =>
    `<circle cx="${middle}" cy="500" r="${r}" fill="none" stroke="${darken(hex, 0.35)}" stroke-width="2.5" opacity="0.8"/>`;
  const screws = [45, 135, 225, 315].map(
    (degrees) =>
      `<g transform="rotate(${degrees} ${middle} 500)"><circle cx="${middle}" cy="${500 - radius * 0.78}" r="12" fill="${lighten(hex, 0.3)}" stroke="${darken(hex, 0.4)}" stroke-width="2"/><rect x="${middle - 9}" y="${498 - radius * 0.78}" width="18" height="4" fill="${darken(hex, 0.5)}"/></g>`,
  );
  return (
    `<circle cx="${middle}" cy="500" r="${radius - 18}" fill="url(#metal)"/>${[0.88, 0.66, 0.62, 0.3].map((scale) => drawRing(radius * scale)).join('')}` +
    screws.join('')
  );
}
