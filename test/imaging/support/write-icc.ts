/** A colour space, with its profile and the conversion that the profile describes. */
export interface ColourSpace {
  readonly name: string;
  readonly profile: Buffer;
  /** Converts encoded channels (0 to 1) to XYZ under D50. */
  readonly toXyz: (channels: readonly number[]) => readonly number[];
}

/** The colorants of each space under D50, column by column. */
const colorants = {
  srgb: [0.43607, 0.22249, 0.01392, 0.38515, 0.71687, 0.09708, 0.14307, 0.06061, 0.7141],
  p3: [0.51512, 0.2412, -0.00105, 0.29198, 0.69225, 0.04189, 0.1571, 0.06657, 0.78407],
  adobe: [0.60974, 0.31111, 0.01947, 0.20528, 0.62567, 0.06087, 0.14919, 0.06322, 0.74457],
  prophoto: [0.79767, 0.28804, 0, 0.13519, 0.71188, 0, 0.03134, 0.00009, 0.82491],
} as const;

/** Decodes a value with the sRGB curve (IEC 61966-2-1). */
export function decodeSrgb(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Converts XYZ under D50 to clipped 8-bit sRGB. */
export function toSrgb([x = 0, y = 0, z = 0]: readonly number[]): number[] {
  const linear = [
    3.1341 * x - 1.6174 * y - 0.4907 * z,
    -0.9788 * x + 1.9161 * y + 0.0335 * z,
    0.0719 * x - 0.229 * y + 1.4053 * z,
  ];
  return linear.map((value) => {
    const clippedValue = Math.max(0, Math.min(1, value));
    return Math.round(
      255 * (clippedValue <= 0.0031308 ? clippedValue * 12.92 : 1.055 * clippedValue ** (1 / 2.4) - 0.055),
    );
  });
}

/** Converts CIE L*a*b* under D50 to XYZ. */
export function labToXyz([l = 0, a = 0, b = 0]: readonly number[]): number[] {
  const y = (l + 16) / 116;
  const cube = (value: number) => (value > 6 / 29 ? value ** 3 : ((value - 16 / 116) * 108) / 841);
  return [0.9642 * cube(y + a / 500), cube(y), 0.8249 * cube(y - b / 200)];
}

/** Returns an RGB space with a matrix and a curve. */
export function rgbSpace(name: keyof typeof colorants, curve: (value: number) => number): ColourSpace {
  const columns = colorants[name];
  return {
    name,
    profile: writeProfile('RGB ', 'XYZ ', [
      ['rXYZ', xyzTag(columns.slice(0, 3))],
      ['gXYZ', xyzTag(columns.slice(3, 6))],
      ['bXYZ', xyzTag(columns.slice(6, 9))],
      ...(['rTRC', 'gTRC', 'bTRC'] as const).map((tag) => [tag, curveTag(curve)] as const),
    ]),
    toXyz: (channels) => {
      const linear = channels.slice(0, 3).map(curve);
      return [0, 1, 2].map((n) =>
        linear.reduce((sum, value, k) => sum + value * (columns[k * 3 + n] ?? 0), 0),
      );
    },
  };
}

/** Returns a grey space with a curve. */
export function greySpace(name: string, curve: (value: number) => number): ColourSpace {
  return {
    name,
    profile: writeProfile('GRAY', 'XYZ ', [['kTRC', curveTag(curve)]]),
    toXyz: ([grey = 0]) => [0.9642 * curve(grey), curve(grey), 0.8249 * curve(grey)],
  };
}

/**
 * Returns a space with a lookup table (`mft2`) of two points per channel. `cornerLab` returns the L*a*b* of each corner
 * of the cube. All other colours, except grey, depend on the interpolation.
 */
export function tableSpace(
  space: 'RGB ' | 'CMYK',
  cornerLab: (channels: readonly number[]) => readonly number[],
): ColourSpace {
  const inputs = space === 'RGB ' ? 3 : 4;
  const head = Buffer.alloc(52);
  head.write('mft2', 0, 'latin1');
  head.set([inputs, 3, 2], 8);
  for (const offset of [12, 28, 44]) head.writeInt32BE(65_536, offset);
  head.writeUInt16BE(2, 48);
  head.writeUInt16BE(2, 50);
  const identityCurve = uint16(0, 65_535);
  const corners = Array.from({ length: 2 ** inputs }, (_, n) => {
    const [l = 0, a = 0, b = 0] = cornerLab(
      Array.from({ length: inputs }, (_channel, k) => (n >> (inputs - 1 - k)) & 1),
    );
    return uint16(Math.round(l * 652.8), Math.round((a + 128) * 256), Math.round((b + 128) * 256));
  });
  const table = [
    head,
    ...Array.from({ length: inputs }, () => identityCurve),
    ...corners,
    identityCurve,
    identityCurve,
    identityCurve,
  ];
  return {
    name: `${space.trim()} table`,
    profile: writeProfile(space, 'Lab ', [['A2B0', Buffer.concat(table)]]),
    toXyz: (channels) => labToXyz(cornerLab(channels)),
  };
}

function writeProfile(space: string, pcs: string, spaceTags: readonly (readonly [string, Buffer])[]): Buffer {
  const description = Buffer.alloc(4 + 90);
  description.write('desc', 0, 'latin1');
  description.writeUInt32BE(1, 8);
  const tags = [['desc', description], ['wtpt', xyzTag([0.9642, 1, 0.8249])], ...spaceTags] as const;
  const paddedTags = tags.map(([, data]) => Buffer.concat([data, Buffer.alloc(-data.length & 3)]));
  const header = Buffer.alloc(132 + tags.length * 12);
  let offset = header.length;
  for (const [n, [name, data]] of tags.entries()) {
    header.write(name, 132 + n * 12, 'latin1');
    header.writeUInt32BE(offset, 136 + n * 12);
    header.writeUInt32BE(data.length, 140 + n * 12);
    offset += paddedTags[n]?.length ?? 0;
  }
  header.writeUInt32BE(offset, 0);
  header.writeUInt32BE(0x02400000, 8);
  header.write(`${space === 'CMYK' ? 'prtr' : 'mntr'}${space}${pcs}`, 12, 'latin1');
  for (const [n, part] of [2026, 1, 1].entries()) header.writeUInt16BE(part, 24 + n * 2);
  header.write('acsp', 36, 'latin1');
  xyzTag([0.9642, 1, 0.8249]).copy(header, 68, 8);
  header.writeUInt32BE(tags.length, 128);
  return Buffer.concat([header, ...paddedTags]);
}

function curveTag(curve: (value: number) => number): Buffer {
  const count = 4096;
  const head = Buffer.alloc(12);
  head.write('curv', 0, 'latin1');
  head.writeUInt32BE(count, 8);
  const values = Array.from({ length: count }, (_, n) => Math.round(65_535 * curve(n / (count - 1))));
  return Buffer.concat([head, uint16(...values)]);
}

function xyzTag(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.write('XYZ ', 0, 'latin1');
  for (const [n, value] of values.entries()) bytes.writeInt32BE(Math.round(value * 65_536), 8 + n * 4);
  return bytes;
}

function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [n, value] of values.entries()) bytes.writeUInt16BE(Math.max(0, Math.min(65_535, value)), n * 2);
  return bytes;
}

/** Returns a power curve with this exponent. */
export const gamma = (exponent: number) => (value: number) => value ** exponent;

/** The ProPhoto RGB curve. */
export const prophoto = (value: number) => (value < 1 / 32 ? value / 16 : value ** 1.8);
