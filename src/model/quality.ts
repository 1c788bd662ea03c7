/** Quality of a picture compared with another one. */
export interface PictureQuality {
  /** Peak signal-to-noise ratio over red, green and blue, in dB; 100 for identical pixels. */
  readonly psnr: number;
  /** Structural similarity of the luma; 1 for identical pixels, may be slightly negative. */
  readonly ssim: number;
  /** Distance of the perceptual hashes on the scale of 64-bit hashes, 0–64. */
  readonly hashDistance: number;
}

/** Quality of another picture compared with a source. */
export interface PictureComparison extends PictureQuality {
  /** Name that the caller gave to the other picture. */
  readonly name: string;
  /** Upright size of the other picture, in pixels. */
  readonly width: number;
  readonly height: number;
}

/** The rendition that a preset would yield for a picture. */
export interface PresetTrial {
  /** Name of the preset. */
  readonly preset: string;
  readonly width: number;
  readonly height: number;
  /** Length of the encoded rendition. */
  readonly bytes: number;
  /** SSIM of the enlarged rendition and the source, at most 1200 px wide or high; 1 is best. */
  readonly quality: number;
}
