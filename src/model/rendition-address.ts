import type { RenditionFormat } from './preset.ts';

/** What a URL under `/i/{uuid}/` identifies, apart from the image. */
export interface RenditionName {
  readonly preset: string;
  /** Pixel density, from 1. */
  readonly density: number;
  /** Set in immutable URLs. */
  readonly recipe?: string;
  /** Absent in URLs whose format is chosen by `Accept`. */
  readonly format?: RenditionFormat;
}

/** File extension of each format in URLs. */
export const extensionOfFormat: Readonly<Record<RenditionFormat, string>> = {
  jpeg: 'jpg',
  webp: 'webp',
  avif: 'avif',
  png: 'png',
};

const formatsByExtension: Readonly<Record<string, RenditionFormat>> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  webp: 'webp',
  avif: 'avif',
  png: 'png',
};

const filePattern = /^([a-z0-9][a-z0-9_-]{0,31})(?:@([1-9])x)?(?:\.([0-9a-f]{10}))?(?:\.([a-z]{3,4}))?$/;

/**
 * Parses the last segment of a URL, `{preset}[@{density}x][.{recipe}][.{extension}]`. Returns `undefined` for any other
 * text: an unknown extension, or a recipe without an extension, because a recipe applies to one format.
 */
export function parseRenditionName(file: string): RenditionName | undefined {
  const [, preset, density, recipe, extension] = filePattern.exec(file) ?? [];
  if (preset === undefined) return undefined;
  const format = extension === undefined ? undefined : formatsByExtension[extension];
  if (format === undefined && (extension !== undefined || recipe !== undefined)) return undefined;
  return {
    preset,
    density: density === undefined ? 1 : Number(density),
    ...(recipe !== undefined && { recipe }),
    ...(format !== undefined && { format }),
  };
}

/** Returns the canonical form of the last segment of a URL. */
export function formatRenditionName({ preset, density, recipe, format }: RenditionName): string {
  const densitySuffix = density === 1 ? '' : `@${density}x`;
  const recipeSuffix = recipe === undefined ? '' : `.${recipe}`;
  const extension = format === undefined ? '' : `.${extensionOfFormat[format]}`;
  return `${preset}${densitySuffix}${recipeSuffix}${extension}`;
}

/** Returns the path at which a rendition is delivered. */
export function renditionPath(uuid: string, name: RenditionName): string {
  return `/i/${uuid}/${formatRenditionName(name)}`;
}
