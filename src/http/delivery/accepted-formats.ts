import type { RenditionFormat } from '../../model/preset.ts';

/** Formats that are sent only to clients that name them. Every client can decode the others. */
const modernFormats: ReadonlySet<RenditionFormat> = new Set<RenditionFormat>(['avif', 'webp']);

/** All formats, smallest files first. */
const formatsBySize: readonly RenditionFormat[] = ['avif', 'webp', 'jpeg', 'png'];

/** Maximum number of `Accept` headers whose result is remembered. Browsers send only a few. */
const maxRememberedHeaders = 200;

/**
 * Returns the formats of a preset that a client accepts, in its order of preference. Among formats with the same `q`, smaller
 * files come first. If the client accepts none of them, returns those that every client can decode, because an image is more
 * useful than an error (RFC 9110 §12.4.1).
 * @param accept the `Accept` header
 * @param available the formats of the preset
 */
export type ChooseFormats = (
  accept: string | undefined,
  available: readonly RenditionFormat[],
) => readonly RenditionFormat[];

/** @see ChooseFormats */
export function makeChooseFormats(): ChooseFormats {
  const remembered = new Map<string | undefined, readonly RenditionFormat[]>();

  function listAccepted(accept: string | undefined): readonly RenditionFormat[] {
    const known = remembered.get(accept);
    if (known) return known;
    const formats = parseAccept(accept);
    if (remembered.size < maxRememberedHeaders) remembered.set(accept, formats);
    return formats;
  }

  return (accept, available) => {
    const accepted = listAccepted(accept).filter((format) => available.includes(format));
    if (accepted.length > 0) return accepted;
    const readable = formatsBySize.filter(
      (format) => available.includes(format) && !modernFormats.has(format),
    );
    return readable.length > 0 ? readable : available;
  };
}

function parseAccept(accept: string | undefined): readonly RenditionFormat[] {
  const weights = parseWeights(accept?.trim() ? accept : '*/*');
  return formatsBySize
    .map((format) => ({ format, weight: weightOf(weights, format) }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ format }) => format);
}

/** Returns the weight of each media range in the header. */
function parseWeights(accept: string): ReadonlyMap<string, number> {
  const ranges = accept.split(',').map((part) => {
    const [range = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return [range, parseWeight(weight)] as const;
  });
  return new Map(ranges);
}

/** A weight that cannot be parsed counts as 0, because the client has restricted the range in some way. */
function parseWeight(text: string | undefined): number {
  if (text === undefined) return 1;
  return /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/.test(text) ? Number(text) : 0;
}

/** Wildcards do not stand for modern formats, because clients that cannot decode these formats also send wildcards. */
function weightOf(weights: ReadonlyMap<string, number>, format: RenditionFormat): number {
  const explicit =
    weights.get(`image/${format}`) ?? (format === 'jpeg' ? weights.get('image/jpg') : undefined);
  if (explicit !== undefined || modernFormats.has(format)) return explicit ?? 0;
  return weights.get('image/*') ?? weights.get('*/*') ?? 0;
}
