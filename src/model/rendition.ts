import type { RenditionFormat } from './preset.ts';

/** A file made from an image's original according to a preset. */
export interface Rendition {
  readonly id: number;
  readonly preset: string;
  /** Identifies how the rendition was made. The same original and recipe yield the same bytes. */
  readonly recipe: string;
  readonly storageKey: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly contentHash: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  readonly quality: number;
  readonly format: RenditionFormat;
  /** Pixel density that was requested, 1 to 4. The file may have fewer pixels, because pictures are not enlarged. */
  readonly density: number;
}

/** A rendition in storage that has not been recorded in the database yet. */
export type NewRendition = Omit<Rendition, 'id'>;

/**
 * Whether two images' renditions have the same pixels, apart from differences caused by re-encoding. The verdict is `unknown`
 * if a rendition is damaged and cannot be compared.
 */
export type RenditionMatch =
  | { readonly verdict: 'same' | 'unknown' }
  | {
      readonly verdict: 'different';
      /** Preset of the first rendition that differs. */
      readonly preset: string;
      /** The channel with the largest difference. */
      readonly channel: 'lightness' | 'colour';
      /** Position of the largest difference, as a percentage of the width and the height. */
      readonly left: number;
      readonly top: number;
    };
