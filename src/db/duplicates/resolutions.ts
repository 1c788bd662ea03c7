import { sql } from 'kysely';
import type { DiscardedImage } from '../../model/duplicates.ts';
import type { Image, ImageRef } from '../../model/image.ts';
import type { Principal } from '../../model/principal.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockImagesAndFiles } from '../images/content-lock.ts';
import { identifiedBy, selectImages } from '../images/image-rows.ts';
import { softDeleteImage } from '../images/removal.ts';
import { isVisibleTo } from '../lists.ts';

/** Which image of a group to keep, and which ones to delete. */
export interface Resolution {
  readonly keep: ImageRef;
  readonly discard: readonly ImageRef[];
}

/** Result of resolving a group. Unless it is `resolved`, nothing was changed. */
export type ResolutionResult =
  | { readonly outcome: 'resolved'; readonly kept: Image; readonly discarded: readonly DiscardedImage[] }
  | { readonly outcome: 'group-not-found' }
  /** The images of the group are variants of a product, not duplicates. */
  | { readonly outcome: 'variants' }
  /** The image is not in the group. */
  | { readonly outcome: 'not-in-group'; readonly image: ImageRef }
  /** The image to keep is also to be discarded. */
  | { readonly outcome: 'kept-and-discarded'; readonly image: ImageRef }
  /** The image to keep is damaged or has failed. */
  | { readonly outcome: 'not-intact'; readonly image: Image };

/** Queries that resolve groups of duplicates. */
export type ResolutionQueries = ReturnType<typeof makeResolutionQueries>;

/** @see ResolutionQueries */
export function makeResolutionQueries({ sql: db }: Database) {
  return {
    /**
     * Moves the references of the discarded images to the kept image, and soft-deletes the discarded images, in one
     * transaction. Changes nothing for images that an earlier request has discarded in the same way.
     */
    resolve: (principal: Principal, groupId: number, resolution: Resolution): Promise<ResolutionResult> =>
      retryingTransaction(db, async (transaction) => {
        const images = await lockImages(transaction, principal, resolution);
        const group = await readGroup(transaction, principal, groupId, images);
        const checked = check(resolution, images, group);
        if (checked.outcome !== 'allowed') return checked;
        const { kept, discarded } = checked;
        const newlyDiscarded = discarded.filter(({ id }) => !group.discardedIds.has(id));
        for (const image of newlyDiscarded) await discard(transaction, principal, groupId, kept, image);
        if (newlyDiscarded.length > 0)
          await recordResolution(transaction, principal, groupId, kept, newlyDiscarded);
        const [image = kept] = await selectImages(transaction, principal, identifiedBy({ id: kept.id }));
        return {
          outcome: 'resolved',
          kept: image,
          discarded: await readDiscarded(transaction, discarded, group.discardedIds),
        };
      }),
  };
}

/** The images of a request after locking; `undefined` stands for one that does not exist or that the caller may not see. */
interface RequestedImages {
  readonly kept: Image | undefined;
  readonly discarded: ReadonlyMap<ImageRef, Image | undefined>;
}

/** A request that can be carried out. No image is listed twice. */
interface AllowedRequest {
  readonly outcome: 'allowed';
  readonly kept: Image;
  readonly discarded: readonly Image[];
}

/** What the database knows about the images of a request. */
interface GroupState {
  /** `null` if the group does not exist. */
  readonly kind: string | null;
  readonly memberIds: ReadonlySet<number>;
  /** Deleted images that the kept image already replaces. */
  readonly discardedIds: ReadonlySet<number>;
}

/** Locks the images of a request with their files. Returns them as they are after locking. */
async function lockImages(
  transaction: Queryable,
  principal: Principal,
  { keep, discard: discardRefs }: Resolution,
): Promise<RequestedImages> {
  const select = (refs: readonly ImageRef[]) =>
    selectImages(transaction, principal, sql`(${sql.join(refs.map(identifiedBy), sql` OR `)})`);
  const found = await select([keep, ...discardRefs]);
  await lockImagesAndFiles(
    transaction,
    found.map(({ id }) => id),
  );
  const images = found.length > 0 ? await select(found.map(({ id }) => ({ id }))) : [];
  const find = (ref: ImageRef) =>
    images.find((image) => ('id' in ref ? image.id === ref.id : image.uuid === ref.uuid));
  return { kept: find(keep), discarded: new Map(discardRefs.map((ref) => [ref, find(ref)])) };
}

async function readGroup(
  transaction: Queryable,
  principal: Principal,
  groupId: number,
  { kept, discarded }: RequestedImages,
): Promise<GroupState> {
  const ids = [kept, ...discarded.values()].flatMap((image) => image?.id ?? []);
  const isOfGroup = sql`group_id = ${groupId} AND ${isVisibleTo(principal, 'tenant_id')}
    AND image_id = ANY (${ids}::bigint[])`;
  const { rows } = await sql<{ kind: string | null; memberIds: number[]; discardedIds: number[] }>`
    SELECT (SELECT kind FROM duplicate_groups WHERE id = ${groupId} AND ${isVisibleTo(principal, 'tenant_id')}) AS kind,
      (SELECT coalesce(json_agg(image_id), '[]') FROM duplicate_members WHERE ${isOfGroup}) AS "memberIds",
      (SELECT coalesce(json_agg(image_id), '[]') FROM duplicate_resolutions
       WHERE ${isOfGroup} AND kept_id = ${kept?.id ?? 0}) AS "discardedIds"`.execute(transaction);
  const { kind = null, memberIds = [], discardedIds = [] } = rows[0] ?? {};
  return { kind, memberIds: new Set(memberIds), discardedIds: new Set(discardedIds) };
}

/** Returns the images of a request, or why it cannot be carried out. */
function check(
  { keep }: Resolution,
  { kept, discarded }: RequestedImages,
  { kind, memberIds, discardedIds }: GroupState,
): AllowedRequest | Exclude<ResolutionResult, { outcome: 'resolved' }> {
  const images = new Set<Image>();
  if (kind === null && discardedIds.size === 0) return { outcome: 'group-not-found' };
  if (kind === 'variant') return { outcome: 'variants' };
  for (const [ref, image] of discarded) {
    if (!image || !(memberIds.has(image.id) || discardedIds.has(image.id)))
      return { outcome: 'not-in-group', image: ref };
    images.add(image);
  }
  const isRepetition = [...images].every(({ id }) => discardedIds.has(id));
  if (!kept || !(memberIds.has(kept.id) || (isRepetition && !kept.deletedAt)))
    return { outcome: 'not-in-group', image: keep };
  if (images.has(kept)) return { outcome: 'kept-and-discarded', image: keep };
  if (!isRepetition && (kept.damagedAt || kept.status !== 'completed'))
    return { outcome: 'not-intact', image: kept };
  return { outcome: 'allowed', kept, discarded: [...images] };
}

async function discard(
  transaction: Queryable,
  actor: Actor,
  groupId: number,
  kept: Image,
  image: Image,
): Promise<void> {
  // The rows of the discarded image stay, so that they come back if it is restored.
  await sql`
    WITH moved AS (
      INSERT INTO image_references (image_id, reference)
      SELECT ${kept.id}, reference FROM image_references WHERE image_id = ${image.id} ORDER BY id
      ON CONFLICT DO NOTHING RETURNING reference),
    updated_image AS (
      UPDATE images SET in_use_count = in_use_count + (SELECT count(*) FROM moved) WHERE id = ${kept.id}),
    written_resolution AS (
      INSERT INTO duplicate_resolutions (image_id, kept_id, tenant_id, group_id, moved_references)
      SELECT ${image.id}, ${kept.id}, ${kept.tenantId}, ${groupId}, count(*) FROM moved
      ON CONFLICT (image_id) DO UPDATE SET kept_id = excluded.kept_id, group_id = excluded.group_id,
        moved_references = excluded.moved_references)
    ${insertAudit(actor, {
      action: 'reference.add',
      from: sql`moved`,
      tenantId: sql`${kept.tenantId}::int`,
      target: sql`${kept.uuid}::text`,
      details: sql`jsonb_build_object('reference', moved.reference, 'from', ${image.uuid}::text)`,
    })}`.execute(transaction);
  await softDeleteImage(transaction, image.id);
  await insertAudit(actor, {
    action: 'image.delete',
    from: sql`(SELECT) image`,
    tenantId: sql`${image.tenantId}::int`,
    target: sql`${image.uuid}::text`,
    details: sql`jsonb_build_object('kept', ${kept.uuid}::text)`,
  }).execute(transaction);
}

async function recordResolution(
  transaction: Queryable,
  actor: Actor,
  groupId: number,
  kept: Image,
  discarded: readonly Image[],
): Promise<void> {
  const details = { group: groupId, discarded: discarded.map(({ uuid }) => uuid) };
  await insertAudit(actor, {
    action: 'group.resolve',
    from: sql`(SELECT) resolution`,
    tenantId: sql`${kept.tenantId}::int`,
    target: sql`${kept.uuid}::text`,
    details: sql`${JSON.stringify(details)}::jsonb`,
  }).execute(transaction);
}

async function readDiscarded(
  transaction: Queryable,
  images: readonly Image[],
  discardedBefore: ReadonlySet<number>,
): Promise<DiscardedImage[]> {
  const ids = images.map(({ id }) => id);
  const { rows } = await sql<{ id: number; movedReferences: number }>`
    SELECT image_id AS id, moved_references AS "movedReferences" FROM duplicate_resolutions
    WHERE image_id = ANY (${ids}::bigint[])`.execute(transaction);
  const countsById = new Map(rows.map(({ id, movedReferences }) => [id, movedReferences]));
  return images.map(({ id, uuid }) => ({
    id,
    uuid,
    movedReferences: countsById.get(id) ?? 0,
    wasDiscarded: discardedBefore.has(id),
  }));
}
