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
  /** Whether records list the rendition. They list one rendition per preset. */
  readonly isListed: boolean;
  /** Whether the rendition may be removed to save space, because it is made again on request. */
  readonly isOnRequest: boolean;
}

/** Names a variant of an image's picture. */
export interface VariantName {
  /** Name of the preset. */
  readonly preset: string;
  readonly format: RenditionFormat;
  readonly density: number;
}

/** Whether two names are of the same variant. */
export function isSameVariant(one: VariantName, other: VariantName): boolean {
  return one.preset === other.preset && one.format === other.format && one.density === other.density;
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
