import { createHash } from 'node:crypto';
import type { Metadata } from 'sharp';
import type { PictureFormat } from '../../model/picture.ts';
import { type MetadataKind, metadataKinds } from '../../model/preset.ts';
import { selectFrame } from '../containers/select-frame.ts';
import { sharp } from '../decoding/native-library.ts';
import { readExifRights } from './exif.ts';
import { readIptcRights } from './iptc.ts';
import { cleanText } from './text.ts';
import { readXmpRights } from './xmp.ts';

/** What an original says about its author, its rights and its origin. Nothing else is ever copied into renditions. */
export interface KeptMetadata {
  readonly creators: readonly string[];
  readonly credit?: string | undefined;
  readonly copyright?: string | undefined;
  /** IPTC digital source type: a URI, or only its last part, such as `trainedAlgorithmicMedia`. */
  readonly digitalSourceType?: string | undefined;
}

const nothing: KeptMetadata = { creators: [] };

/** Formats in which the image library finds metadata. */
const formatsWithMetadata: ReadonlySet<PictureFormat> = new Set([
  'jpeg',
  'png',
  'webp',
  'avif',
  'heic',
  'tiff',
]);

const maxCreators = 5;
const sourceTypePattern = /^(?:https?:\/\/cv\.iptc\.org\/newscodes\/digitalsourcetype\/)?[A-Za-z]{1,64}$/;

/** Reads the metadata that renditions may keep. Metadata that cannot be read counts as missing and is never an error. */
export async function readKeptMetadata(bytes: Uint8Array, format: PictureFormat): Promise<KeptMetadata> {
  if (!formatsWithMetadata.has(format)) return nothing;
  try {
    const frame = selectFrame(bytes, format);
    const options = { limitInputPixels: false, limitInputChannels: false, failOn: 'none' } as const;
    return combine(await sharp(frame.bytes, { ...options, ...frame.position }).metadata());
  } catch {
    return nothing;
  }
}

/** Prefers XMP to IPTC-IIM and IPTC-IIM to EXIF, because programs that edit metadata write XMP. */
function combine({ exif, iptc, xmp }: Pick<Metadata, 'exif' | 'iptc' | 'xmp'>): KeptMetadata {
  const fromXmp = xmp ? readXmpRights(xmp) : nothing;
  const fromIptc = iptc ? readIptcRights(iptc) : nothing;
  const fromExif = exif ? readExifRights(exif) : {};
  const firstText = (...texts: readonly (string | undefined)[]) =>
    texts.map((text) => cleanText(text ?? '')).find((text) => text !== undefined);
  const creatorLists = [fromXmp.creators, fromIptc.creators, fromExif.artist?.split(';') ?? []];
  const creators = creatorLists.map((names) => names.flatMap((name) => cleanText(name) ?? []));
  const sourceType = cleanText(fromXmp.digitalSourceType ?? '');
  return {
    creators: creators.find((names) => names.length > 0)?.slice(0, maxCreators) ?? [],
    credit: firstText(fromXmp.credit, fromIptc.credit),
    copyright: firstText(fromXmp.copyright, fromIptc.copyright, fromExif.copyright),
    digitalSourceType: sourceType && sourceTypePattern.test(sourceType) ? sourceType : undefined,
  };
}

/** Returns only the given kinds of metadata; `undefined` if none is present. */
export function selectMetadata(
  metadata: KeptMetadata,
  kinds: readonly MetadataKind[],
): KeptMetadata | undefined {
  const keepsCredit = kinds.includes('credit');
  const selected = {
    creators: keepsCredit ? metadata.creators : [],
    credit: keepsCredit ? metadata.credit : undefined,
    copyright: kinds.includes('copyright') ? metadata.copyright : undefined,
    digitalSourceType: kinds.includes('ai') ? metadata.digitalSourceType : undefined,
  };
  const isEmpty =
    selected.creators.length === 0 &&
    [selected.credit, selected.copyright, selected.digitalSourceType].every((text) => text === undefined);
  return isEmpty ? undefined : selected;
}

/**
 * Returns the SHA-256 of all metadata that renditions may keep, hexadecimal; an empty string if there is none. Covers all
 * kinds, because the settings may change after the hash has been recorded.
 */
export function hashMetadata(metadata: KeptMetadata): string {
  const selected = selectMetadata(metadata, metadataKinds);
  if (selected === undefined) return '';
  const { creators, credit, copyright, digitalSourceType } = selected;
  const content = JSON.stringify([creators, credit ?? null, copyright ?? null, digitalSourceType ?? null]);
  return createHash('sha256').update(content).digest('hex');
}
