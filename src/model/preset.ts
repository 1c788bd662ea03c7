/**
 * A named kind of rendition. The picture is scaled down to fit a box of `width` × `height` pixels; it keeps its aspect
 * ratio and is never enlarged.
 */
export interface Preset {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** JPEG quality, 1 to 100. */
  readonly quality: number;
}
