import type { RenditionFormat } from './preset.ts';

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

/** A file that a preset would yield for a picture, in one of its formats. */
export interface FormatTrial {
  readonly format: RenditionFormat;
  /** Size of the encoded rendition in bytes. */
  readonly bytes: number;
  /**
   * SSIM between the rendition and the same picture at about 1200 pixels, to whose size the rendition is enlarged. The
   * picture is trimmed, cut and padded like the rendition.
   */
  readonly quality: number;
}

/** The rendition that a preset would yield for a picture. The bytes and the quality are those of its first format. */
export interface PresetTrial extends Omit<FormatTrial, 'format'> {
  /** Preset name. */
  readonly preset: string;
  readonly width: number;
  readonly height: number;
  /** All formats of the preset, in its order. */
  readonly formats: readonly FormatTrial[];
}
