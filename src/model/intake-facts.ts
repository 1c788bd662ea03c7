/** Kinds of background, judged by the border of a picture. */
export const backgroundKinds = ['white', 'plain', 'mixed'] as const;

/** @see backgroundKinds */
export type BackgroundKind = (typeof backgroundKinds)[number];

/** The background of a picture, judged by its border. */
export interface BackgroundFacts {
  /**
   * `white`: nearly all of the border is white. `plain`: nearly all of it has one other colour. `mixed`: everything else.
   */
  readonly kind: BackgroundKind;
  /** Median colour of the border, as `#rrggbb`. */
  readonly color: string;
  /** Fraction of the border within ΔE 2 of white (255, 255, 255). */
  readonly whiteShare: number;
  /** Fraction of the border within ΔE 4 of its median colour. */
  readonly plainShare: number;
}

/** Position of the product: fractions of the width and the height of the picture, from its top left corner. */
export interface ProductBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Light and shadow of the product, or of the whole picture if the product is not known. */
export interface ExposureFacts {
  /** Mean CIE L*, from 0 (black) to 100 (white). */
  readonly lightness: number;
  /** Fraction whose three channels are all nearly 0. */
  readonly clippedShadows: number;
  /** Fraction whose three channels are all nearly 255. */
  readonly clippedHighlights: number;
}

/** Widths of a frame of uniform colour, as fractions of the width or the height of the picture; 0 if there is none. */
export interface BorderFacts {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Traces of lossy compression. */
export interface CompressionFacts {
  /** Quality on the scale of libjpeg, 1 to 100, from the quantisation table of a JPEG; `null` for other formats. */
  readonly jpegQuality: number | null;
  /** Fraction of the small steps that lie on a grid of 8 × 8 pixels; `null` if the picture was not decoded at full size. */
  readonly blockiness: number | null;
  /** Whether the picture has visible traces of compression. */
  readonly heavy: boolean;
}

/**
 * Facts measured in the pixels of a picture when its renditions are made. Fractions are from 0 to 1. `null` means that the
 * fact cannot be measured in this picture.
 */
export interface IntakeFacts {
  /** How steep the edges are, from 0 (blurred) to 100 (as crisp as pixels allow). */
  readonly sharpness: number | null;
  readonly exposure: ExposureFacts;
  readonly background: BackgroundFacts;
  /** Fraction of the picture that the product covers; `null` if the background is mixed. */
  readonly fill: number | null;
  /** Where the product is; `null` if the background is mixed or nothing is in front of it. */
  readonly product: ProductBox | null;
  readonly borders: BorderFacts;
  /** Whether the picture is an enlarged copy of a smaller one. */
  readonly upscaled: boolean;
  readonly compression: CompressionFacts;
  /** Whether the picture has no colours, only shades of grey. */
  readonly grey: boolean;
}

/** Returns the distance of the product's centre from the picture's, as a fraction of the width or height: the larger one. */
export function offCentre({ left, top, width, height }: ProductBox): number {
  return Math.max(Math.abs(left + width / 2 - 0.5), Math.abs(top + height / 2 - 0.5));
}

/** Returns the fraction of the width or the height of the picture that the product spans: the larger one. */
export function productSpan({ width, height }: ProductBox): number {
  return Math.max(width, height);
}
