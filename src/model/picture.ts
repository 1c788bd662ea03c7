/** Formats that Vitrine takes in. A format is told by a file's content, never by its name. */
export const pictureFormats = ['jpeg', 'png', 'gif', 'webp', 'avif', 'tiff', 'bmp'] as const;

/** One of the formats that Vitrine takes in. */
export type PictureFormat = (typeof pictureFormats)[number];

/** Names of the formats as people write them. */
export const formatNames: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  gif: 'GIF',
  webp: 'WebP',
  avif: 'AVIF',
  tiff: 'TIFF',
  bmp: 'BMP',
};

/** Media type of each format, as sent with an original. */
export const mediaTypes: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  tiff: 'image/tiff',
  bmp: 'image/bmp',
};

/** Bytes of a file's beginning that are enough to tell its format. */
export const headBytes = 4100;

/** Colour spaces of source files, in the names that older clients use. */
export const colorSpaces = ['RGB', 'RGBA', 'L', 'LA', 'CMYK', 'P', 'I;16', 'LAB'] as const;

/** Colour space of a source file. */
export type ColorSpace = (typeof colorSpaces)[number];

/** What a picture's header tells. Width and height are those of the upright picture (orientation applied). */
export interface PictureFacts {
  readonly format: PictureFormat;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly colorSpace: ColorSpace;
  readonly hasAlpha: boolean;
  /** Bits for each channel in the source file: 1, 8, 16 … */
  readonly bitDepth: number;
}

/** Limits that a picture must keep before its pixels are decoded. */
export interface PictureLimits {
  /** Most pixels of the frame that is used: width × height. */
  readonly maxPixels: number;
  /** The same for AVIF, whose decoder is the slowest per pixel. */
  readonly maxAvifPixels: number;
  readonly maxFrames: number;
  readonly allowedFormats: readonly PictureFormat[];
}
