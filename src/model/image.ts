import type { IntakeFacts } from './intake-facts.ts';
import type { Violation } from './intake-rules.ts';
import type { DuplicateVerdict } from './duplicates.ts';
import type { PictureBox, RelationTier } from './relation.ts';
import type { JobState } from './job.ts';
import type { ColorSpace, PictureFormat } from './picture.ts';
import type { FocalPoint } from './preset.ts';
import type { Rendition } from './rendition.ts';

/**
 * The record of a tenant's picture. Throughout the code, "image" means this record and "picture" means visual content:
 * a file or its pixels. `null` means that the value is unknown or does not apply.
 */
export interface Image {
  readonly id: number;
  readonly uuid: string;
  readonly tenantId: number;
  readonly tenant: string;
  readonly status: JobState;
  /** Why processing failed, as a sentence for users. */
  readonly error: string | null;
  readonly errorCode: string | null;
  readonly url: string | null;
  readonly filename: string | null;
  /** SHA-256 of the original, hexadecimal. */
  readonly contentHash: string | null;
  /** Storage key of the original. */
  readonly originalKey: string | null;
  readonly originalBytes: number | null;
  /** Width in pixels, after applying the orientation tag. */
  readonly width: number | null;
  readonly height: number | null;
  readonly format: PictureFormat | null;
  readonly frames: number | null;
  readonly colorSpace: ColorSpace | null;
  readonly hasAlpha: boolean | null;
  readonly bitDepth: number | null;
  readonly focalPoint: FocalPoint | null;
  /** SHA-256 of the metadata that renditions keep, hexadecimal; empty if there is none, `null` if it is unknown. */
  readonly keptMetadata: string | null;
  /** What was measured in the pixels. */
  readonly intakeFacts: IntakeFacts | null;
  /** The intake rules with the action `warn` that the picture broke when it was measured. */
  readonly warnings: readonly Violation[];
  /** Id of the tenant's first image with the same content. */
  readonly duplicateOf: number | null;
  /** Id of the donor, the near-duplicate whose renditions this image shares. */
  readonly renditionsReusedFrom: number | null;
  /** Number of the image's references. */
  readonly inUseCount: number;
  /** When the original was found to be missing or changed. */
  readonly damagedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly processedAt: Date | null;
  /** When the image was soft-deleted. */
  readonly deletedAt: Date | null;
}

/** Another image of the same tenant that forms a pair with an image: a near-duplicate, a possible one or a variant. */
export interface NearDuplicate {
  readonly id: number;
  readonly uuid: string;
  readonly tier: RelationTier;
  /** What a person decided about the pair; `null` if nobody has. */
  readonly verdict: DuplicateVerdict | null;
  /** Edits that turn the older picture into the newer one, joined by `+`; `null` if there are none. See `pictureEdits`. */
  readonly edit: string | null;
  /** The part of the newer picture that differs; `null` if no part stands out. */
  readonly box: PictureBox | null;
  /** Distance between the perceptual hashes, 0–64; 0 if they are identical, `null` if only a person has named the pair. */
  readonly distance: number | null;
  /** Mean colour difference (CIE ΔE) between corresponding pixels; `null` if only a person has named the pair. */
  readonly difference: number | null;
  /** Why the two images are near-duplicates, as a clause. */
  readonly reason: string;
}

/**
 * What to do with near-duplicates: share their renditions (`reuse`), only report them (`flag`), or not search for them
 * (`off`).
 */
export const nearDuplicatePolicies = ['reuse', 'flag', 'off'] as const;

/** @see nearDuplicatePolicies */
export type NearDuplicatePolicy = (typeof nearDuplicatePolicies)[number];

/**
 * An image with its current renditions and the images with which it forms a shown pair. The renditions include those in further formats and densities, and
 * those whose recipe is no longer in use.
 */
export interface ImageWithRenditions extends Image {
  readonly renditions: readonly Rendition[];
  readonly nearDuplicates: readonly NearDuplicate[];
}

/** The id or the UUID of an image. */
export type ImageRef = { readonly id: number } | { readonly uuid: string };

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const numberPattern = /^[0-9]{1,15}$/;

/** Pattern of an id or a UUID, for JSON Schema, whose patterns have no flags. */
export const idOrUuidPattern =
  '^([0-9]{1,15}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$';

/** Parses an id or a UUID. Returns `undefined` for any other text. */
export function parseIdOrUuid(text: string): ImageRef | undefined {
  if (numberPattern.test(text)) return { id: Number(text) };
  return uuidPattern.test(text) ? { uuid: text.toLowerCase() } : undefined;
}
