/** How close one picture comes to another one. */
export interface PictureQuality {
  /** Peak signal-to-noise ratio over red, green and blue, in dB; at most 100, which identical pixels get. */
  readonly psnr: number;
  /** Structural similarity of the luma, at most 1, which identical pixels get; may be slightly negative. */
  readonly ssim: number;
  /** Distance of the perceptual hashes on the 64-bit scale, 0–64. */
  readonly hashDistance: number;
}

/** How another picture compares with a source. */
export interface PictureComparison extends PictureQuality {
  /** What the caller calls the other picture. */
  readonly name: string;
  /** Size of the other picture itself, in pixels, upright. */
  readonly width: number;
  readonly height: number;
}

/** What a preset would make of a picture. */
export interface PresetTrial {
  /** Name of the preset. */
  readonly preset: string;
  readonly width: number;
  readonly height: number;
  /** Length of the encoded rendition. */
  readonly bytes: number;
  /** SSIM of the rendition, enlarged again, with the source at 1200 px at most; 1 is best. */
  readonly quality: number;
}
