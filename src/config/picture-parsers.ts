import { type PictureFormat, pictureFormats } from '../model/picture.ts';
import { type MetadataKind, metadataKinds } from '../model/preset.ts';
import type { Parser } from './parsers.ts';

const formatsByExtension: Readonly<Record<string, PictureFormat>> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  jpe: 'jpeg',
  jfif: 'jpeg',
  png: 'png',
  apng: 'png',
  gif: 'gif',
  webp: 'webp',
  avif: 'avif',
  heic: 'heic',
  heif: 'heic',
  hif: 'heic',
  tif: 'tiff',
  tiff: 'tiff',
  bmp: 'bmp',
  dib: 'bmp',
};

/** Picture formats, given as file extensions. */
export const formatList: Parser<readonly PictureFormat[]> = {
  accepts: `comma-separated extensions from ${Object.keys(formatsByExtension).join(', ')}`,
  parse(text) {
    const words = text.toLowerCase().split(/[\s,;]+/);
    const extensions = words.map((word) => word.replace(/^\./, '')).filter(Boolean);
    const unknownExtensions = extensions.filter((extension) => !Object.hasOwn(formatsByExtension, extension));
    if (unknownExtensions.length > 0)
      throw new Error(`contains ${unknownExtensions.join(', ')}, which Vitrine does not support`);
    if (extensions.length === 0) throw new Error('contains no format');
    return pictureFormats.filter((format) =>
      extensions.some((extension) => formatsByExtension[extension] === format),
    );
  },
};

/** The size of a box in pixels, such as `200` or `200x200`. */
export const thumbnailSize: Parser<{ width: number; height: number }> = {
  accepts: 'a size in pixels, such as `100` or `100x100`',
  parse(text) {
    const match = /^\s*(\d{1,5})(?:\s*[x,×]\s*(\d{1,5}))?\s*$/i.exec(text);
    const width = Number(match?.[1]);
    const height = Number(match?.[2] ?? match?.[1]);
    if (!match || width < 1 || height < 1 || width > 16_383 || height > 16_383)
      throw new Error('is not a size');
    return { width, height };
  },
};

/** Kinds of metadata. */
export const metadataKindList: Parser<readonly MetadataKind[]> = {
  accepts: `\`none\`, or a comma-separated list of ${metadataKinds.join(', ')}`,
  parse(text) {
    const words = text
      .toLowerCase()
      .split(/[\s,;]+/)
      .filter(Boolean);
    if (words.join() === 'none') return [];
    const unknownWords = words.filter((word) => !(metadataKinds as readonly string[]).includes(word));
    if (unknownWords.length > 0)
      throw new Error(`contains ${unknownWords.join(', ')}, which is not a kind of metadata`);
    return metadataKinds.filter((kind) => words.includes(kind));
  },
};
