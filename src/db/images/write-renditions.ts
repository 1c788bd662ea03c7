import { type RawBuilder, sql } from 'kysely';
import type { NewRendition } from '../../model/rendition.ts';

/** Columns of the rows that `writeRenditions` writes, in this order. */
const writtenColumns = sql.raw(
  `image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format, density, is_listed,
   is_on_request, shared`,
);

/** Selects the rows of the CTE `new_renditions`. A rendition that a request asked for counts as served. */
const selectNewRows = sql`
  SELECT ${writtenColumns}, CASE WHEN is_on_request THEN date_trunc('hour', now()) END FROM new_renditions`;

/**
 * Returns the CTEs that record renditions of one image. A rendition of the same variant with another recipe is superseded: it
 * stays, and is served at its own URL, until a sweep removes it. A rendition with the same recipe is replaced. The CTE
 * `written_renditions` yields the written rows. The caller must have locked the image's files, unless the image has none.
 * @param rows `SELECT` statement that yields the rows, such as `selectNewRenditions`
 */
export function writeRenditions(rows: RawBuilder<unknown>): RawBuilder<unknown>[] {
  return [
    sql`new_renditions (${writtenColumns}) AS MATERIALIZED (${rows})`,
    sql`superseded_renditions AS (${supersedeRenditions()})`,
    sql`written_renditions AS (${upsertRenditions()})`,
    sql`transferred_renditions AS (${transferReplacedFiles()})`,
  ];
}

/**
 * Returns the CTEs that record renditions of variants and presets of which the image has no others. They yield the same rows as
 * those of `writeRenditions`, and take half of the time: nothing can be superseded or replaced.
 */
export function insertRenditions(rows: RawBuilder<unknown>): RawBuilder<unknown>[] {
  return [
    sql`new_renditions (${writtenColumns}) AS MATERIALIZED (${rows})`,
    sql`written_renditions AS (INSERT INTO renditions (${writtenColumns}, served_at) ${selectNewRows} RETURNING *)`,
  ];
}

/**
 * Selects rows for new renditions. Marks a rendition as shared if another image owns its file.
 * @param image table expression that yields one row with `image_id`
 */
export function selectNewRenditions(
  image: RawBuilder<unknown>,
  renditions: readonly NewRendition[],
): RawBuilder<unknown> {
  return sql`
    SELECT image.image_id, rendition.preset, rendition.recipe, rendition."storageKey", rendition."contentHash",
      rendition.bytes, rendition.width, rendition.height, rendition.quality, rendition.format, rendition.density,
      rendition."isListed", rendition."isOnRequest", is_owned_elsewhere(rendition."storageKey", image.image_id)
    FROM ${image} image CROSS JOIN jsonb_to_recordset(${JSON.stringify(renditions)}::jsonb) AS rendition
      (preset text, recipe text, "storageKey" text, "contentHash" text, bytes int, width int, height int,
       quality smallint, format text, density smallint, "isListed" boolean, "isOnRequest" boolean)`;
}

/**
 * Selects rows that share an image's current renditions. The other image owns their files, unless the image itself does.
 * @param image table expression that yields one row with `image_id`
 * @param storageKeys if set, only renditions with these files are shared
 */
export function selectSharedRenditions(
  image: RawBuilder<unknown>,
  sharedImageId: number,
  storageKeys?: readonly string[],
): RawBuilder<unknown> {
  return sql`${selectShared(image, sql`r.is_listed`)}
    WHERE r.image_id = ${sharedImageId} AND r.superseded_at IS NULL
      ${storageKeys ? sql`AND r.storage_key = ANY (${storageKeys}::text[])` : sql``}`;
}

/**
 * Selects a row that shares one rendition of an image, which may be the image itself.
 * @param image table expression that yields one row with `image_id`
 */
export function selectSharedRendition(
  image: RawBuilder<unknown>,
  shared: { readonly id: number },
  isListed: boolean,
): RawBuilder<unknown> {
  return sql`${selectShared(image, sql`${isListed}::boolean`)} WHERE r.id = ${shared.id}`;
}

function selectShared(image: RawBuilder<unknown>, isListed: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    SELECT image.image_id, r.preset, r.recipe, r.storage_key, r.content_hash, r.bytes, r.width, r.height, r.quality,
      r.format, r.density, ${isListed}, r.is_on_request, is_owned_elsewhere(r.storage_key, image.image_id)
    FROM ${image} image CROSS JOIN renditions r`;
}

/**
 * Supersedes renditions of the same variants with other recipes. If another format of a preset is now the first one, records
 * stop to list the former one. A rendition that is written itself is left to the upsert, because one statement must not change
 * a row twice.
 */
function supersedeRenditions(): RawBuilder<unknown> {
  const isSameVariant = sql`new.format = r.format AND new.density = r.density`;
  const exists = (condition: RawBuilder<unknown>) => sql`EXISTS (
      SELECT 1 FROM new_renditions new WHERE new.image_id = r.image_id AND new.preset = r.preset AND ${condition})`;
  const isReplaced = exists(sql`${isSameVariant} AND new.recipe = r.recipe`);
  const isSuperseded = exists(sql`${isSameVariant} AND new.recipe <> r.recipe`);
  const isUnlisted = exists(sql`new.is_listed AND NOT (${isSameVariant})`);
  return sql`
    UPDATE renditions r SET superseded_at = CASE WHEN ${isSuperseded} THEN now() END,
      is_listed = r.is_listed AND NOT ${isUnlisted}
    WHERE r.image_id IN (SELECT image_id FROM new_renditions) AND r.superseded_at IS NULL AND NOT ${isReplaced}
      AND (${isSuperseded} OR r.is_listed AND ${isUnlisted})
    RETURNING r.id`;
}

/**
 * Rows that are not listed come first, so that a preset never has two listed renditions. Counting the superseded renditions
 * makes this statement wait for their update: otherwise, a variant could have two current renditions.
 */
function upsertRenditions(): RawBuilder<unknown> {
  return sql`
    INSERT INTO renditions (${writtenColumns}, served_at) ${selectNewRows}
    WHERE (SELECT count(*) FROM superseded_renditions) >= 0 ORDER BY is_listed
    ON CONFLICT (image_id, preset, format, density, recipe) DO UPDATE SET storage_key = excluded.storage_key,
      content_hash = excluded.content_hash, bytes = excluded.bytes, width = excluded.width, height = excluded.height,
      quality = excluded.quality, is_listed = excluded.is_listed, is_on_request = excluded.is_on_request,
      shared = excluded.shared, served_at = excluded.served_at, superseded_at = NULL
    RETURNING *`;
}

/**
 * Transfers the ownership of each file that the image owned and has just replaced. The oldest image that shares the file
 * becomes its owner. A file is skipped if another image already owns it. This occurs if the image was deleted during the job:
 * the deletion made another image the owner, but left the deleted image marked as an owner.
 */
function transferReplacedFiles(): RawBuilder<unknown> {
  return sql`
    UPDATE renditions SET shared = false WHERE id IN (
      SELECT DISTINCT ON (next_owner.storage_key) next_owner.id FROM written_renditions
      JOIN renditions replaced_rendition ON replaced_rendition.id = written_renditions.id AND NOT replaced_rendition.shared
        AND replaced_rendition.storage_key <> written_renditions.storage_key
        AND NOT is_owned_elsewhere(replaced_rendition.storage_key, replaced_rendition.image_id)
      JOIN renditions next_owner ON next_owner.storage_key = replaced_rendition.storage_key AND next_owner.shared
        AND next_owner.image_id <> written_renditions.image_id
      JOIN images i ON i.id = next_owner.image_id AND i.deleted_at IS NULL
      ORDER BY next_owner.storage_key, next_owner.id)`;
}
