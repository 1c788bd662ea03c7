import type { JobState } from './job.ts';
import type { ColorSpace, PictureFormat } from './picture.ts';
import type { Rendition } from './rendition.ts';

/** A picture of a tenant, from its arrival to its removal. `null` stands for what is not known yet. */
export interface Image {
  readonly id: number;
  readonly uuid: string;
  readonly tenantId: number;
  readonly tenant: string;
  readonly status: JobState;
  /** Why it failed, in a sentence that a shop's editor understands. */
  readonly error: string | null;
  readonly errorCode: string | null;
  readonly url: string | null;
  readonly filename: string | null;
  /** SHA-256 of the original, hexadecimal. */
  readonly contentHash: string | null;
  /** Where the original lies in storage. */
  readonly originalKey: string | null;
  readonly originalBytes: number | null;
  /** Width of the upright picture in pixels. */
  readonly width: number | null;
  /** Height of the upright picture in pixels. */
  readonly height: number | null;
  readonly format: PictureFormat | null;
  readonly frames: number | null;
  readonly colorSpace: ColorSpace | null;
  readonly hasAlpha: boolean | null;
  readonly bitDepth: number | null;
  /** The image of the same tenant with the same content that came first. */
  readonly duplicateOf: number | null;
  /** The near-duplicate with the same pixels whose renditions this image shows as its own. */
  readonly renditionsReusedFrom: number | null;
  /** Number of references: who uses the image. */
  readonly inUseCount: number;
  /** When its original was found missing or changed in storage. */
  readonly damagedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly processedAt: Date | null;
  /** When it was deleted; `null` while it lives. */
  readonly deletedAt: Date | null;
}

/** Another image of the same tenant that shows nearly the same picture. */
export interface NearDuplicate {
  readonly id: number;
  readonly uuid: string;
  /** Distance of the perceptual hashes on the 64-bit scale: 0 identical, up to 64. */
  readonly distance: number;
  /** Mean colour difference (CIE ΔE) of the two pictures, laid over each other. */
  readonly difference: number;
  /** Why the two are taken for near-duplicates, as a clause. */
  readonly reason: string;
}

/** An image with the renditions that are made so far, and its near-duplicates. */
export interface ImageWithRenditions extends Image {
  readonly renditions: readonly Rendition[];
  readonly nearDuplicates: readonly NearDuplicate[];
}

/** How a caller names an image: by its number or by its UUID. */
export type ImageRef = { readonly id: number } | { readonly uuid: string };

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const numberPattern = /^[0-9]{1,15}$/;

/** A number or a UUID, for programs that know no flags of regular expressions. */
export const referenceForm =
  '^([0-9]{1,15}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$';

/** The reference that `text` spells, or `undefined` when it is neither a number nor a UUID. */
export function parseImageReference(text: string): ImageRef | undefined {
  if (numberPattern.test(text)) return { id: Number(text) };
  return uuidPattern.test(text) ? { uuid: text.toLowerCase() } : undefined;
}
