/**
 * Whether two sets of renditions have the same pixels up to re-encoding. `unknown` if a rendition is damaged: there is
 * no evidence then.
 */
export type RenditionMatch =
  | { readonly verdict: 'same' | 'unknown' }
  | {
      readonly verdict: 'different';
      /** Preset of the first rendition that differs. */
      readonly preset: string;
      /** What differs most. */
      readonly channel: 'lightness' | 'colour';
      /** Where it differs most, in percent of the width and the height. */
      readonly left: number;
      readonly top: number;
    };
