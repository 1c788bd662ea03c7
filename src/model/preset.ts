import { equivalentQuality } from './encoder-quality.ts';

/** Formats of renditions. */
export const renditionFormats = ['jpeg', 'webp', 'avif', 'png'] as const;

/** @see renditionFormats */
export type RenditionFormat = (typeof renditionFormats)[number];

/**
 * How a picture is placed in the box of a preset:
 * - `inside`: scaled down to fit inside the box. The rendition is as large as the picture, not as the box.
 * - `cover`: scaled down to cover the box, and cropped to it.
 * - `pad`: scaled down to fit inside the box, which is then filled with the background.
 */
export const fits = ['inside', 'cover', 'pad'] as const;

/** @see fits */
export type Fit = (typeof fits)[number];

/** Which part of a picture `cover` keeps, unless the image has a focal point. */
export const focuses = ['center', 'attention', 'entropy'] as const;

/** @see focuses */
export type Focus = (typeof focuses)[number];

/** How plain or transparent borders are removed. */
export interface Trim {
  /** Largest difference between the border and its colour, per channel, 0 to 255. */
  readonly tolerance: number;
  /** Width of the margin around the product, as a percentage of the box on each side, 0 to 45. */
  readonly margin: number;
}

/** Metadata that renditions may keep: copyright notice, creator and credit line, and the statement that AI made the picture. */
export const metadataKinds = ['copyright', 'credit', 'ai'] as const;

/** @see metadataKinds */
export type MetadataKind = (typeof metadataKinds)[number];

/** A named kind of rendition, with everything that determines its files, apart from the picture. */
export interface Preset {
  readonly name: string;
  /** Size of the box, in pixels at density 1. */
  readonly width: number;
  readonly height: number;
  readonly fit: Fit;
  /** Colour behind transparent parts and around the picture, as `#rrggbb`; or `transparent`. */
  readonly background: string;
  readonly focus: Focus;
  /** `null` if borders are kept. */
  readonly trim: Trim | null;
  /** Whether small pictures are enlarged. */
  readonly enlarge: boolean;
  /** The formats in which renditions are available. The first is the one that records list. */
  readonly formats: readonly RenditionFormat[];
  /** Encoder quality of each format, 1 to 100. PNG is lossless, so its value has no effect. */
  readonly quality: Readonly<Record<RenditionFormat, number>>;
  /** Pixel densities in which renditions are available, in ascending order. The first is 1. */
  readonly densities: readonly number[];
  /** Which formats are made at intake, at density 1; the others are made when they are first requested. */
  readonly eager: 'first' | 'none' | 'all';
  /** Whether WebP renditions of animated pictures are animated. All other renditions show the first frame. */
  readonly animation: 'still' | 'keep';
  readonly keepMetadata: readonly MetadataKind[];
}

/** One of the files that a preset can yield for a picture. */
export interface Variant {
  readonly preset: Preset;
  readonly format: RenditionFormat;
  readonly density: number;
}

/** The point of a picture that `cover` keeps in view, as fractions of the upright picture's width and height. */
export interface FocalPoint {
  readonly x: number;
  readonly y: number;
}

/** JPEG quality of presets that do not specify a quality. */
export const defaultQuality = 85;

/** The options of a preset. All but the name and the size have defaults. */
export interface PresetOptions extends Partial<Omit<Preset, 'quality'>> {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** A JPEG quality, which applies to the other formats in a way that they look the same; or a quality for each format. */
  readonly quality?: number | Partial<Record<RenditionFormat, number>>;
}

/** Completes the options of a preset with the defaults. */
export function makePreset({ quality = defaultQuality, ...options }: PresetOptions): Preset {
  const isTransparent = options.background === 'transparent';
  const qualityOf = (format: RenditionFormat) =>
    typeof quality === 'number'
      ? equivalentQuality(quality, format)
      : (quality[format] ?? equivalentQuality(quality.jpeg ?? defaultQuality, format));
  return {
    fit: 'inside',
    background: '#ffffff',
    focus: 'center',
    trim: null,
    enlarge: false,
    formats: isTransparent ? ['png', 'webp', 'avif'] : ['jpeg', 'webp', 'avif'],
    densities: [1],
    eager: 'first',
    animation: 'still',
    keepMetadata: metadataKinds,
    ...options,
    quality: {
      jpeg: qualityOf('jpeg'),
      webp: qualityOf('webp'),
      avif: qualityOf('avif'),
      png: qualityOf('png'),
    },
  };
}

/** Returns the variant of a preset that records list: its first format, at density 1. */
export function listedVariant(preset: Preset): Variant {
  return { preset, format: preset.formats[0] ?? 'jpeg', density: 1 };
}

/** Returns the variants of a preset that are made at intake. */
export function eagerVariants(preset: Preset): Variant[] {
  if (preset.eager === 'none') return [];
  if (preset.eager === 'first') return [listedVariant(preset)];
  return preset.formats.map((format) => ({ preset, format, density: 1 }));
}
