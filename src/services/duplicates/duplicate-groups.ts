import type { DuplicateGroupQueries, GroupFilter, GroupPage } from '../../db/duplicates/groups.ts';
import type { Resolution, ResolutionQueries, ResolutionResult } from '../../db/duplicates/resolutions.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import { AppError } from '../../errors.ts';
import type { DiscardedImage, DuplicateGroup } from '../../model/duplicates.ts';
import type { Image, ImageRef } from '../../model/image.ts';
import type { Logger } from '../../model/logger.ts';
import type { PageRequest } from '../../model/page.ts';
import { callerFields, type Principal } from '../../model/principal.ts';
import type { RenditionCache } from '../rendition-cache.ts';
import { assertTenantAllowed } from '../tenants.ts';
import { type KeeperSuggestion, suggestKeeper } from './suggest-keeper.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'listByIds'>;
  readonly groups: Pick<DuplicateGroupQueries, 'list'>;
  readonly resolutions: Pick<ResolutionQueries, 'resolve'>;
  readonly cache: Pick<RenditionCache, 'evict'>;
  readonly logger: Logger;
}

/** A group with its images. */
export interface ListedGroup extends DuplicateGroup<Image> {
  /** `undefined` if the images are variants, or if every listed image is damaged or has failed. */
  readonly keeper: KeeperSuggestion | undefined;
}

/** One page of groups. */
export interface ListedGroups extends Pick<GroupPage<never>, 'next'> {
  readonly groups: readonly ListedGroup[];
}

/** Lists and resolves groups of duplicates. */
export interface DuplicateGroups {
  /**
   * Lists groups that the caller may see, newest first.
   * @throws {AppError} `tenant_not_allowed` if the filter names a tenant that the caller may not see.
   */
  list(
    principal: Principal,
    filter: GroupFilter,
    page: Pick<PageRequest, 'limit' | 'after'>,
  ): Promise<ListedGroups>;
  /**
   * Moves the references of the discarded images to the kept image, and soft-deletes the discarded images. Does all of this or
   * nothing. A repeated request changes nothing.
   * @throws {AppError} `group_not_found`, `group_of_variants`, `not_in_group`, `keeper_not_intact`; `invalid_request` if the kept image is also
   *   discarded.
   */
  resolve(
    principal: Principal,
    groupId: number,
    resolution: Resolution,
  ): Promise<{ readonly kept: Image; readonly discarded: readonly DiscardedImage[] }>;
}

/** @see DuplicateGroups */
export function makeDuplicateGroups(deps: Dependencies): DuplicateGroups {
  const { images, groups, resolutions, cache, logger } = deps;
  return {
    async list(principal, filter, page) {
      assertTenantAllowed(principal, filter.tenant);
      const { groups: rows, next } = await groups.list(principal, filter, page);
      const ids = rows.flatMap(({ members }) => members.map(({ image }) => image));
      const loadedImages = await images.listByIds(principal, ids);
      const imagesById = new Map(loadedImages.map((image) => [image.id, image]));
      return { groups: rows.flatMap((group) => loadGroup(group, imagesById)), next };
    },

    async resolve(principal, groupId, resolution) {
      const result = await resolutions.resolve(principal, groupId, resolution);
      if (result.outcome !== 'resolved') throw toError(result, groupId);
      const { kept, discarded } = result;
      for (const image of discarded) cache.evict(image);
      const { id, uuid, tenant } = kept;
      const count = discarded.filter(({ wasDiscarded }) => !wasDiscarded).length;
      if (count > 0)
        logger.info(
          { image: id, uuid, tenant, group: groupId, count, ...callerFields(principal) },
          `group ${groupId} of tenant ${tenant} was resolved: image ${id} was kept, ${count} deleted`,
        );
      return { kept, discarded };
    },
  };
}

/** Adds the images. Returns an empty list if fewer than two are left: the others were deleted a moment ago. */
function loadGroup(group: DuplicateGroup<number>, imagesById: ReadonlyMap<number, Image>): ListedGroup[] {
  const members = group.members.flatMap(({ image: id, match }) => {
    const image = imagesById.get(id);
    return image ? [{ image, match }] : [];
  });
  if (members.length < 2) return [];
  const keeper = group.tier === 'variant' ? undefined : suggestKeeper(members.map(({ image }) => image));
  return [{ ...group, members, keeper }];
}

function toError(result: Exclude<ResolutionResult, { outcome: 'resolved' }>, groupId: number): AppError {
  switch (result.outcome) {
    case 'group-not-found':
      return new AppError('group_not_found', `There is no group ${groupId}. List the groups again.`);
    case 'variants':
      return new AppError(
        'group_of_variants',
        `The images of group ${groupId} are variants, so none of them can replace the others. If two of them are the same, judge the pair "same" first.`,
      );
    case 'not-in-group':
      return new AppError(
        'not_in_group',
        `Image ${describeRef(result.image)} is not in group ${groupId}. Nothing was changed; list the groups again.`,
      );
    case 'kept-and-discarded':
      return new AppError(
        'invalid_request',
        `Image ${describeRef(result.image)} is to be kept and discarded.`,
      );
    case 'not-intact':
      return new AppError(
        'keeper_not_intact',
        `Image ${result.image.id} cannot replace the others: ${describeDefect(result.image)}`,
      );
  }
}

function describeRef(ref: ImageRef): string {
  return 'id' in ref ? String(ref.id) : ref.uuid;
}

function describeDefect({ damagedAt, status }: Image): string {
  return damagedAt ? 'its original is missing or damaged.' : `it is ${status}.`;
}
