import sharp, { type Sharp } from 'sharp';

type Edit = (picture: Buffer) => Promise<Buffer>;

const jpeg =
  (change: (picture: Sharp) => Sharp): Edit =>
  (picture) =>
    change(sharp(picture)).jpeg({ quality: 85 }).toBuffer();

/** An edit that depends on the size of the picture. */
const sized =
  (change: (picture: Sharp, width: number, height: number) => Sharp): Edit =>
  async (picture) => {
    const { width, height } = await sharp(picture).metadata();
    return change(sharp(picture), width, height).jpeg({ quality: 85 }).toBuffer();
  };

/** Adds a border; the sizes are fractions of the width and height. */
const pad = (left: number, top: number, right: number, bottom: number, background: string) =>
  sized((picture, width, height) =>
    picture.extend({
      left: Math.round(left * width),
      right: Math.round(right * width),
      top: Math.round(top * height),
      bottom: Math.round(bottom * height),
      background,
    }),
  );

/** Removes fractions of the width and height. */
const crop = (left: number, top: number, right: number, bottom: number) =>
  sized((picture, width, height) =>
    picture.extract({
      left: Math.round(left * width),
      top: Math.round(top * height),
      width: Math.round((1 - left - right) * width),
      height: Math.round((1 - top - bottom) * height),
    }),
  );

const badge = (left: number, top: number, columns: number, rows: number, background: string) =>
  sized((picture, width, height) =>
    picture.composite([
      {
        input: {
          create: {
            width: Math.round(columns * width),
            height: Math.round(rows * height),
            channels: 3,
            background,
          },
        },
        left: Math.round(left * width),
        top: Math.round(top * height),
      },
    ]),
  );

/** Edits that leave the same picture. */
export const edits: Readonly<Record<string, Edit>> = {
  'JPEG, quality 40': (picture) => sharp(picture).jpeg({ quality: 40 }).toBuffer(),
  'JPEG, quality 25': (picture) => sharp(picture).jpeg({ quality: 25 }).toBuffer(),
  'WebP, quality 60': (picture) => sharp(picture).webp({ quality: 60 }).toBuffer(),
  PNG: (picture) => sharp(picture).png().toBuffer(),
  'a quarter of the size': sized((picture, width) => picture.resize(Math.round(width / 4))),
  'one and a half': sized((picture, width) => picture.resize(Math.round(width * 1.5))),
  'brighter by 12 %': jpeg((picture) => picture.linear(1.12, 0)),
  'darker by 12 %': jpeg((picture) => picture.linear(0.88, 0)),
  'gamma 1.2': jpeg((picture) => picture.gamma(1.2, 1)),
  blurred: jpeg((picture) => picture.blur(1.5)),
  sharpened: jpeg((picture) => picture.sharpen({ sigma: 1.2 })),
  'red badge, top left': badge(0.03, 0.03, 0.22, 0.1, '#d22'),
  'blue badge, top right': badge(0.7, 0.02, 0.27, 0.14, '#06c'),
  'black badge, bottom left': badge(0, 0.9, 0.35, 0.1, '#000'),
  'white border': pad(0.15, 0.15, 0.15, 0.15, '#fff'),
  'grey border': pad(0.1, 0.1, 0.1, 0.1, '#bbb'),
  'uneven black border': pad(0.2, 0, 0.05, 0.1, '#000'),
  trimmed: jpeg((picture) => picture.trim({ threshold: 12 })),
  'cropped by 3 % a side': crop(0.03, 0.03, 0.03, 0.03),
  'cropped by 5 % a side': crop(0.05, 0.05, 0.05, 0.05),
  'cropped by 4 %, bottom': crop(0, 0, 0, 0.04),
  mirrored: jpeg((picture) => picture.flop()),
};

/** Edits that make another variant of the product. A grey product stays the same picture, whatever the hue. */
export const recolourings: Readonly<Record<string, Edit>> = {
  'hue turned by 30°': jpeg((picture) => picture.modulate({ hue: 30 })),
  'hue turned by 60°': jpeg((picture) => picture.modulate({ hue: 60 })),
  'hue turned by 180°': jpeg((picture) => picture.modulate({ hue: 180 })),
  'muted, hue turned': jpeg((picture) => picture.modulate({ hue: -40, saturation: 0.6 })),
};
