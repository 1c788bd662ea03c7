import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { FocalPoint } from '../../model/preset.ts';
import type { NewRendition, Rendition, VariantName } from '../../model/rendition.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockImageFiles } from '../images/content-lock.ts';
import { renditionFields } from '../images/image-rows.ts';
import { lockHeldJob } from '../jobs/fence.ts';
import {
  insertRenditions,
  selectNewRenditions,
  selectSharedRendition,
  writeRenditions,
} from '../images/write-renditions.ts';

/** Queries for single renditions of completed images. */
export type VariantQueries = ReturnType<typeof makeVariantQueries>;

/** Renditions to record, whose files are in storage. */
export interface RenderedVariants {
  readonly imageId: number;
  readonly renditions: readonly NewRendition[];
  /** The image's focal point when they were made. */
  readonly focalPoint: FocalPoint | null;
  /** The job that made them, if there was one. */
  readonly job?: ClaimedJob | undefined;
  /**
   * Checks that the files are in storage. It is called while the files are locked, so that nothing removes a file before its
   * row is committed. It may be called more than once.
   */
  readonly hasFiles: () => Promise<boolean>;
}

/**
 * The recorded renditions, or why nothing was recorded: the image was removed or is not completed, its focal point has
 * changed, a file was removed in the meantime, or the job has lost its lease.
 */
export type RecordedVariants =
  | readonly Rendition[]
  | 'image-removed'
  | 'focal-point-changed'
  | 'file-missing'
  | 'lease-lost';

/** A rendition with the same pixels as a variant that is about to be made. */
export interface SharableRendition extends Rendition {
  /** The image that has the rendition. It can be the image of the variant itself. */
  readonly imageId: number;
  readonly isSuperseded: boolean;
  /** Whether the two images have the same content. Otherwise, the other image is the donor. */
  readonly hasSameContent: boolean;
  /** Size of the other image's original. */
  readonly originalWidth: number | null;
  readonly originalHeight: number | null;
}

/** @see VariantQueries */
export function makeVariantQueries({ sql: db }: Database) {
  return {
    /** Finds a rendition by its recipe, even if it has been superseded. */
    async findByRecipe(
      imageId: number,
      variant: VariantName,
      recipe: string,
    ): Promise<Rendition | undefined> {
      const { rows } = await sql<{ rendition: Rendition }>`
        SELECT json_build_object(${renditionFields('r')}) AS rendition FROM renditions r
        WHERE r.image_id = ${imageId} AND ${isVariant(variant)} AND r.recipe = ${recipe}`.execute(db);
      return rows[0]?.rendition;
    },

    /** Records renditions of a completed image, and ends the claims on them. */
    record: (rendered: RenderedVariants): Promise<RecordedVariants> =>
      retryingTransaction(db, async (transaction) => {
        const { imageId, renditions, job, hasFiles } = rendered;
        await lockImageFiles(transaction, [imageId]);
        if (job && !(await lockHeldJob(transaction, job))) return 'lease-lost';
        const state = await lockImage(transaction, imageId, rendered.focalPoint, renditions);
        if (typeof state === 'string') return state;
        if (!(await hasFiles())) return 'file-missing';
        const image = sql`(SELECT ${imageId}::bigint AS image_id)`;
        return write(transaction, imageId, selectNewRenditions(image, renditions), state);
      }),

    /**
     * Finds a rendition that can be used instead of making one: that of the image itself, even if it has been superseded; the
     * same file of an image with the same content; or that of the donor, if everything that the variant depends on is the same.
     * The caller must compare the sizes.
     */
    async findSharable(
      imageId: number,
      { storageKey, recipe, ...variant }: VariantName & Pick<Rendition, 'storageKey' | 'recipe'>,
    ): Promise<SharableRendition | undefined> {
      const { rows } = await sql<{ rendition: SharableRendition }>`
        SELECT json_build_object(${renditionFields('r')}, 'imageId', i.id, 'originalWidth', i.width,
          'originalHeight', i.height, 'isSuperseded', r.superseded_at IS NOT NULL, 'hasSameContent', i.content_hash = own.content_hash) AS rendition
        FROM images own JOIN renditions r ON (r.image_id = own.id OR r.superseded_at IS NULL) AND (
            r.storage_key = ${storageKey}
            OR r.image_id IN (own.id, own.renditions_reused_from) AND ${isVariant(variant)} AND r.recipe = ${recipe})
        JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
        WHERE own.id = ${imageId} AND i.tenant_id = own.tenant_id AND (i.id = own.id OR i.damaged_at IS NULL)
          AND (i.content_hash = own.content_hash OR i.has_alpha = own.has_alpha AND i.kept_metadata = own.kept_metadata
            AND i.focus_x IS NOT DISTINCT FROM own.focus_x AND i.focus_y IS NOT DISTINCT FROM own.focus_y)
        ORDER BY r.image_id <> own.id, r.id LIMIT 1`.execute(db);
      return rows[0]?.rendition;
    },

    /**
     * Records that an image shares a rendition, or that its own superseded rendition is current again. Returns `rendition-gone`
     * if it was removed, or that of the other image superseded, in the meantime.
     * @param isListed whether records list the rendition
     */
    share: (
      imageId: number,
      rendition: SharableRendition,
      focalPoint: FocalPoint | null,
      isListed = rendition.isListed,
    ): Promise<RecordedVariants | 'rendition-gone'> =>
      retryingTransaction(db, async (transaction) => {
        await lockImageFiles(transaction, [imageId, rendition.imageId]);
        const state = await lockImage(transaction, imageId, focalPoint, [{ ...rendition, isListed }]);
        if (typeof state === 'string') return state;
        const { rows } = await sql`
          SELECT 1 FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
          WHERE r.id = ${rendition.id} AND r.storage_key = ${rendition.storageKey}
            AND r.content_hash = ${rendition.contentHash} AND (r.superseded_at IS NULL OR i.id = ${imageId})`.execute(
          transaction,
        );
        if (rows.length === 0) return 'rendition-gone';
        const image = sql`(SELECT ${imageId}::bigint AS image_id)`;
        const shared = selectSharedRendition(image, rendition, isListed);
        return write(transaction, imageId, shared, state);
      }),

    /** Records that renditions were served in this hour. Ignores those that are not made on request. */
    async noteServed(ids: readonly number[]): Promise<void> {
      await sql`
        UPDATE renditions SET served_at = date_trunc('hour', now())
        WHERE id = ANY (${ids}::bigint[]) AND is_on_request
          AND (served_at IS NULL OR served_at < date_trunc('hour', now()))`.execute(db);
    },
  };
}

function isVariant({ preset, format, density }: VariantName): RawBuilder<boolean> {
  return sql`(r.preset = ${preset} AND r.format = ${format} AND r.density = ${density})`;
}

/** What is known about a locked image. */
interface LockedImage {
  /** Whether it has renditions that the new ones may replace, supersede or unlist. */
  readonly hasFormer: boolean;
}

/** Locks the image's row. If its renditions cannot be recorded, returns the reason. */
async function lockImage(
  transaction: Queryable,
  imageId: number,
  focalPoint: FocalPoint | null,
  newRenditions: readonly (VariantName & Pick<NewRendition, 'isListed'>)[],
): Promise<LockedImage | 'image-removed' | 'focal-point-changed'> {
  const isFormer = newRenditions.map(
    (rendition) =>
      sql`${isVariant(rendition)} OR r.preset = ${rendition.preset} AND r.is_listed AND ${rendition.isListed}::boolean`,
  );
  const { rows } = await sql<LockedImage & { readonly hasSameFocus: boolean }>`
    SELECT focus_x IS NOT DISTINCT FROM ${focalPoint?.x ?? null}::real
        AND focus_y IS NOT DISTINCT FROM ${focalPoint?.y ?? null}::real AS "hasSameFocus",
      EXISTS (SELECT FROM renditions r WHERE r.image_id = images.id AND (${sql.join(isFormer, sql` OR `)})) AS "hasFormer"
    FROM images WHERE id = ${imageId} AND deleted_at IS NULL AND status = 'completed' FOR SHARE`.execute(
    transaction,
  );
  if (!rows[0]) return 'image-removed';
  return rows[0].hasSameFocus ? rows[0] : 'focal-point-changed';
}

async function write(
  transaction: Queryable,
  imageId: number,
  renditions: RawBuilder<unknown>,
  { hasFormer }: LockedImage,
): Promise<Rendition[]> {
  const { rows } = await sql<{ rendition: Rendition }>`
    WITH ${sql.join((hasFormer ? writeRenditions : insertRenditions)(renditions))},
    ended_claims AS (
      DELETE FROM variant_claims USING new_renditions new
      WHERE variant_claims.image_id = ${imageId} AND variant_claims.preset = new.preset
        AND variant_claims.format = new.format AND variant_claims.density = new.density
        AND variant_claims.recipe = new.recipe)
    SELECT json_build_object(${renditionFields('written_renditions')}) AS rendition FROM written_renditions`.execute(
    transaction,
  );
  return rows.map(({ rendition }) => rendition);
}
