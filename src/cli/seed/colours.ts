/** A product colour of the sample catalog. */
export interface Colour {
  readonly name: string;
  /** The colour in the form `#rrggbb`. */
  readonly hex: string;
  /** Colour of trims, chosen to match the product colour. */
  readonly accent: string;
}

/** All product colours of the sample catalog. */
export const colours: readonly [Colour, ...Colour[]] = [
  { name: 'red', hex: '#b3262e', accent: '#f3e9dc' },
  { name: 'navy', hex: '#22345c', accent: '#d9a441' },
  { name: 'sage', hex: '#8ba58a', accent: '#f4f1e6' },
  { name: 'black', hex: '#2b2b2e', accent: '#c9c9c9' },
  { name: 'sand', hex: '#d3bd98', accent: '#5f4a33' },
  { name: 'teal', hex: '#1f7a7a', accent: '#f2d7a6' },
  { name: 'mustard', hex: '#d39a22', accent: '#2f3b4a' },
  { name: 'rose', hex: '#d88f96', accent: '#ffffff' },
  { name: 'grey', hex: '#8d9299', accent: '#e2573b' },
  { name: 'blue', hex: '#3b74b9', accent: '#f5f5f5' },
];

/** Mixes two colours. `fraction` is the proportion of `to`, from 0 to 1. */
export function mix(from: string, to: string, fraction: number): string {
  const parseChannel = (hex: string, index: number) =>
    Number.parseInt(hex.slice(1 + index * 2, 3 + index * 2), 16);
  const channels = [0, 1, 2].map((index) => {
    const value = parseChannel(from, index) * (1 - fraction) + parseChannel(to, index) * fraction;
    return Math.round(value).toString(16).padStart(2, '0');
  });
  return `#${channels.join('')}`;
}

/** Mixes `hex` with white. */
export function lighten(hex: string, fraction: number): string {
  return mix(hex, '#ffffff', fraction);
}

/** Mixes `hex` with near-black, because shadows in a lit room are never completely black. */
export function darken(hex: string, fraction: number): string {
  return mix(hex, '#0b0b10', fraction);
}
