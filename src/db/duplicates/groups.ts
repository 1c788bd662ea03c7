import { sql } from 'kysely';
import type { DuplicateGroup, GroupMember } from '../../model/duplicates.ts';
import type { RelationTier } from '../../model/relation.ts';
import type { PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database } from '../database.ts';
import { boxRecord } from '../images/image-rows.ts';
import { allOf, isAfterCursor, isVisibleTo } from '../lists.ts';

/** Selects groups. */
export interface GroupFilter {
  readonly tenant?: string | undefined;
  /** The weakest tier of the group; if it is not given, groups of duplicates in any of the first three tiers. */
  readonly tier?: RelationTier | undefined;
}

/** One page of groups. It has no total, because counting all groups would be the slowest part of the request. */
export interface GroupPage<Picture> {
  readonly groups: readonly DuplicateGroup<Picture>[];
  /** Value of `after` for the next page; `undefined` on the last page. */
  readonly next: number | undefined;
}

/** Maximum number of images that are listed for a group. */
export const maxListedMembers = 20;

/** Queries for groups of duplicates. Triggers of the database maintain the groups themselves. */
export type DuplicateGroupQueries = ReturnType<typeof makeDuplicateGroupQueries>;

interface GroupRow {
  readonly id: number;
  readonly tenant: string;
  readonly tier: RelationTier;
  readonly size: number;
  readonly representativeId: number;
  readonly members: readonly (NonNullable<GroupMember<unknown>['match']> & { readonly id: number })[];
}

/** @see DuplicateGroupQueries */
export function makeDuplicateGroupQueries({ sql: db }: Database) {
  return {
    /** Lists groups that the principal may see, newest first, with the ids of their images. */
    async list(
      principal: Pick<Principal, 'tenantId'>,
      { tenant, tier }: GroupFilter,
      page: Pick<PageRequest, 'limit' | 'after'>,
    ): Promise<GroupPage<number>> {
      const matches = allOf([
        isVisibleTo(principal, 'g.tenant_id'),
        tenant === undefined ? undefined : sql`g.tenant_id = (SELECT id FROM tenants WHERE name = ${tenant})`,
        tier === undefined ? sql`g.kind = 'duplicate'` : sql`g.tier = ${tier}`,
        isAfterCursor({ ...page, offset: 0 }, 'g.id'),
      ]);
      const { rows } = await sql<GroupRow>`
        WITH page AS MATERIALIZED (
          SELECT g.* FROM duplicate_groups g WHERE ${matches} ORDER BY g.id DESC LIMIT ${page.limit + 1})
        SELECT page.id, (SELECT name FROM tenants WHERE tenants.id = page.tenant_id) AS tenant, page.tier, page.size,
          page.representative_id AS "representativeId", ${membersColumn} AS members
        FROM page ORDER BY page.id DESC`.execute(db);
      const groups = rows.slice(0, page.limit).map(toGroup);
      return { groups, next: rows.length > page.limit ? groups.at(-1)?.id : undefined };
    },
  };
}

/** The oldest images of a group of `page`, without the representative. */
const membersColumn = sql`coalesce((
    SELECT json_agg(json_build_object('id', m.image_id, 'tier', n.shown_tier, 'distance', n.distance,
      'difference', n.difference, 'reason', n.reason, 'verdict', n.verdict, 'edit', n.edit, 'box', ${boxRecord('n')}) ORDER BY m.image_id)
    FROM (
      SELECT image_id FROM duplicate_members
      WHERE group_id = page.id AND image_id <> page.representative_id
      ORDER BY image_id LIMIT ${sql.lit(maxListedMembers - 1)}) m
    JOIN near_duplicates n ON n.image_id = greatest(m.image_id, page.representative_id)
      AND n.match_id = least(m.image_id, page.representative_id)), '[]'::json)`;

function toGroup({ representativeId, members, ...group }: GroupRow): DuplicateGroup<number> {
  return {
    ...group,
    members: [
      { image: representativeId, match: null },
      ...members.map(({ id, ...match }) => ({ image: id, match })),
    ],
  };
}
