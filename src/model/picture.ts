/** Supported picture formats. The format is detected from a file's content, never from its name. */
export const pictureFormats = ['jpeg', 'png', 'gif', 'webp', 'avif', 'heic', 'tiff', 'bmp'] as const;

/** @see pictureFormats */
export type PictureFormat = (typeof pictureFormats)[number];

/** Display names of the formats. */
export const formatNames: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  gif: 'GIF',
  webp: 'WebP',
  avif: 'AVIF',
  heic: 'HEIC',
  tiff: 'TIFF',
  bmp: 'BMP',
};

/** Media type of each format. */
export const mediaTypes: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  heic: 'image/heic',
  tiff: 'image/tiff',
  bmp: 'image/bmp',
};

/** Number of bytes at the start of a file that are enough to identify its format. */
export const headBytes = 4100;

/** Colour spaces of originals. Older clients expect these names. */
export const colorSpaces = ['RGB', 'RGBA', 'L', 'LA', 'CMYK', 'P', 'I;16', 'LAB'] as const;

/** @see colorSpaces */
export type ColorSpace = (typeof colorSpaces)[number];

/** Facts from a picture's header. The width and height are given after applying the orientation tag. */
export interface PictureFacts {
  readonly format: PictureFormat;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly colorSpace: ColorSpace;
  readonly hasAlpha: boolean;
  /** Bits per channel in the original, such as 8 or 16. */
  readonly bitDepth: number;
}

/** Limits that are checked before a picture is decoded. */
export interface PictureLimits {
  /** Maximum number of pixels (width × height) in the frame to decode. */
  readonly maxPixels: number;
  /** An additional pixel limit for AVIF pictures, which take the longest to decode. */
  readonly maxAvifPixels: number;
  readonly maxFrames: number;
  readonly allowedFormats: readonly PictureFormat[];
}
