import { type RawBuilder, sql } from 'kysely';
import type { ExpectedVariant } from '../../model/campaign.ts';
import type { FocalPoint, RenditionFormat } from '../../model/preset.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Queryable } from '../database.ts';

/** A rendition that has not been superseded, with what determines whether it is outdated. */
export type RecordedVariant = Pick<Rendition, 'preset' | 'format' | 'density' | 'recipe'>;

/** An image whose renditions may be outdated, because their recipe depends on its focal point. */
export interface FocusedImage {
  readonly id: number;
  readonly focalPoint: FocalPoint;
  readonly renditions: readonly RecordedVariant[];
}

/** Images in the order of their ids. */
export interface ImageWindow {
  /** Images with outdated or missing renditions. The caller must check those with a focal point. */
  readonly images: readonly ({ readonly id: number } & Partial<FocusedImage>)[];
  /** Id of the last image in the window; `undefined` if there are no more images. */
  readonly lastId: number | undefined;
}

/** Files of one preset and format that are outdated or missing. */
export interface OutdatedFiles {
  readonly preset: string;
  readonly format: RenditionFormat;
  readonly files: number;
}

/** Which images to check. */
export interface ImageScope {
  /** `null` for the images of all tenants. */
  readonly tenantId: number | null;
  readonly expected: readonly ExpectedVariant[];
}

/**
 * Finds images with outdated or missing renditions among the next `size` images.
 * @param afterId id of the last image of the previous window
 */
export async function readImageWindow(
  queryable: Queryable,
  scope: ImageScope,
  afterId: number,
  size: number,
): Promise<ImageWindow> {
  const { rows } = await sql<{
    id: number;
    isSelected: boolean;
    focalPoint: FocalPoint | null;
    renditions: RecordedVariant[] | null;
  }>`
    WITH expected AS MATERIALIZED (${selectExpected(scope.expected)}),
    next_images AS MATERIALIZED (
      SELECT id, focus_x, focus_y FROM images i WHERE i.id > ${afterId} AND ${isProcessed(scope)} ORDER BY i.id LIMIT ${size})
    SELECT i.id, ${isFocused} OR EXISTS (SELECT 1 ${fromOutdated(sql`i.id`)}) AS "isSelected",
      CASE WHEN ${isFocused} THEN json_build_object('x', i.focus_x, 'y', i.focus_y) END AS "focalPoint",
      CASE WHEN ${isFocused} THEN (
        SELECT coalesce(json_agg(json_build_object('preset', r.preset, 'format', r.format, 'density', r.density,
          'recipe', r.recipe)), '[]')
        FROM renditions r WHERE r.image_id = i.id AND r.superseded_at IS NULL) END AS renditions
    FROM next_images i ORDER BY i.id`.execute(queryable);
  return {
    images: rows
      .filter(({ isSelected }) => isSelected)
      .map(({ id, focalPoint, renditions }) => ({
        id,
        ...(focalPoint && renditions && { focalPoint, renditions }),
      })),
    lastId: rows.at(-1)?.id,
  };
}

/** Counts images with outdated or missing renditions, except those whose recipes depend on a focal point. */
export async function countOutdatedImages(queryable: Queryable, scope: ImageScope): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    WITH expected AS MATERIALIZED (${selectExpected(scope.expected)})
    SELECT count(*) AS count FROM images i
    WHERE ${isProcessed(scope)} AND NOT (${isFocused}) AND EXISTS (SELECT 1 ${fromOutdated(sql`i.id`)})`.execute(
    queryable,
  );
  return rows[0]?.count ?? 0;
}

/** Counts the outdated and missing files of the images that `countOutdatedImages` counts. */
export async function countOutdatedFiles(queryable: Queryable, scope: ImageScope): Promise<OutdatedFiles[]> {
  const { rows } = await sql<OutdatedFiles>`
    WITH expected AS MATERIALIZED (${selectExpected(scope.expected)})
    SELECT outdated.preset, outdated.format, count(*) AS files
    FROM images i CROSS JOIN LATERAL (SELECT e.preset, e.format ${fromOutdated(sql`i.id`)}) outdated
    WHERE ${isProcessed(scope)} AND NOT (${isFocused})
    GROUP BY outdated.preset, outdated.format ORDER BY outdated.preset, outdated.format`.execute(queryable);
  return rows;
}

/** Returns the next `size` images whose recipes depend on their focal point. */
export async function readFocusedImages(
  queryable: Queryable,
  scope: ImageScope,
  afterId: number,
  size: number,
): Promise<FocusedImage[]> {
  const { rows } = await sql<FocusedImage>`
    WITH expected AS MATERIALIZED (${selectExpected(scope.expected)})
    SELECT i.id, json_build_object('x', i.focus_x, 'y', i.focus_y) AS "focalPoint", (
        SELECT coalesce(json_agg(json_build_object('preset', r.preset, 'format', r.format, 'density', r.density,
          'recipe', r.recipe)), '[]')
        FROM renditions r WHERE r.image_id = i.id AND r.superseded_at IS NULL) AS renditions
    FROM images i WHERE i.id > ${afterId} AND ${isProcessed(scope)} AND ${isFocused} ORDER BY i.id LIMIT ${size}`.execute(
    queryable,
  );
  return rows;
}

function selectExpected(expected: readonly ExpectedVariant[]): RawBuilder<unknown> {
  return sql`
    SELECT * FROM jsonb_to_recordset(${JSON.stringify(expected)}::jsonb) AS expected
      (preset text, format text, density smallint, recipe text, "usesFocalPoint" boolean, "isEager" boolean)`;
}

/** Whether the recipes of the image `i` depend on its focal point. */
const isFocused = sql`i.focus_x IS NOT NULL AND EXISTS (SELECT 1 FROM expected WHERE "usesFocalPoint")`;

function isProcessed({ tenantId }: ImageScope): RawBuilder<boolean> {
  return sql`i.status = 'completed' AND i.deleted_at IS NULL AND i.original_key IS NOT NULL
    AND ${tenantId === null ? sql`true` : sql`i.tenant_id = ${tenantId}`}`;
}

/** `FROM` clause that yields each variant `e` of an image that is outdated or missing. */
function fromOutdated(imageId: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    FROM expected e LEFT JOIN renditions r ON r.image_id = ${imageId} AND r.preset = e.preset AND r.format = e.format
      AND r.density = e.density AND r.superseded_at IS NULL
    WHERE CASE WHEN r.id IS NULL THEN e."isEager" ELSE r.recipe <> e.recipe END`;
}
