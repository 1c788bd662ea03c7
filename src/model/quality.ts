/** How closely a picture matches a source picture. */
export interface PictureQuality {
  /** Peak signal-to-noise ratio over red, green and blue, in dB; 100 for identical pixels. */
  readonly psnr: number;
  /** Structural similarity of the luma: 1 for identical pixels. It can be slightly negative. */
  readonly ssim: number;
  /** Distance between the perceptual hashes, 0–64. */
  readonly hashDistance: number;
}

/** The comparison of a picture with a source picture. */
export interface PictureComparison extends PictureQuality {
  /** The name that the caller gave the picture. */
  readonly name: string;
  /** Size of the picture in pixels, after applying the orientation tag. */
  readonly width: number;
  readonly height: number;
}

/** The rendition that a preset would yield for a picture. */
export interface PresetTrial {
  /** Preset name. */
  readonly preset: string;
  readonly width: number;
  readonly height: number;
  /** Size of the encoded rendition in bytes. */
  readonly bytes: number;
  /** SSIM between the source, scaled down to at most 1200 × 1200 pixels, and the rendition, enlarged to the same size. */
  readonly quality: number;
}
