import type { RenditionFormat } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { CachedRendition } from '../rendition-cache.ts';
import type { RetrievedRendition } from '../retrieve-image.ts';

/** Identifies a file that a preset yields for an image. */
export interface VariantRef {
  readonly uuid: string;
  readonly preset: string;
  readonly density: number;
  readonly format: RenditionFormat;
  /** In immutable addresses. */
  readonly recipe?: string;
}

/** Delivers renditions of all formats and densities, and makes those that do not exist yet. */
export interface DeliverRendition {
  /** Returns the variant if it is in memory. This method is synchronous for speed. */
  cached(principal: Principal, ref: VariantRef): CachedRendition | undefined;
  /**
   * Loads the variant. Makes it if it does not exist.
   * @throws {AppError} `image_not_found`, `unknown_preset`, `unknown_variant`, `rendition_not_ready`, `overloaded`.
   */
  load(
    principal: Principal,
    ref: VariantRef,
    signal: AbortSignal,
  ): Promise<RetrievedRendition & { readonly isCurrent: boolean }>;
  /**
   * Returns the first of `formats` that exists already or is quick to make. AVIF that does not exist yet is left to a job.
   * @param formats in the order of preference
   */
  negotiate(
    principal: Principal,
    ref: Omit<VariantRef, 'format' | 'recipe'>,
    formats: readonly RenditionFormat[],
    signal: AbortSignal,
  ): Promise<RetrievedRendition & { readonly format: RenditionFormat; readonly isFinal: boolean }>;
}
