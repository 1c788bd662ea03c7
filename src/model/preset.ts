/**
 * A named, standard rendition: the picture is made to fit inside `width` × `height` pixels, keeps its
 * proportions and is never enlarged.
 */
export interface Preset {
  readonly name: string;
  /** Width of the box in pixels. */
  readonly width: number;
  /** Height of the box in pixels. */
  readonly height: number;
  /** JPEG quality, 1 to 100. */
  readonly quality: number;
}
