import type { Database } from '../../../src/db/database.ts';
import { selectRow, selectRows } from './database.ts';

/** A group with the ids of its images, the representative first. */
export interface GroupContent {
  readonly kind: string;
  readonly tier: string;
  readonly images: readonly number[];
}

/** Returns all groups, oldest first. */
export function listGroups(database: Database): Promise<GroupContent[]> {
  return selectRows<GroupContent>(
    database,
    `SELECT g.kind, g.tier, (SELECT json_agg(m.image_id ORDER BY m.image_id <> g.representative_id, m.image_id)
       FROM duplicate_members m WHERE m.group_id = g.id) AS images
     FROM duplicate_groups g ORDER BY g.id`,
  );
}

/**
 * Returns what is wrong with the groups, computed from the pairs and the verdicts alone: each rule with the images that break
 * it. The rules do not follow the code that maintains the groups.
 */
export async function findGroupErrors(database: Database): Promise<Record<string, readonly unknown[]>> {
  const errors = await selectRow<Record<string, readonly unknown[]>>(database, errorQuery);
  return Object.fromEntries(Object.entries(errors).filter(([, found]) => found.length > 0));
}

const list = (query: string) => `(SELECT coalesce(json_agg(found), '[]') FROM (${query}) found)`;

/** `pairs` contains each pair in both directions. */
const errorQuery = `
  WITH verdicts AS (
    SELECT tenant_id, content_hash AS a, other_hash AS b, verdict FROM duplicate_verdicts
    UNION ALL SELECT tenant_id, other_hash, content_hash, verdict FROM duplicate_verdicts),
  recorded AS (
    SELECT image_id AS a, match_id AS b, tier FROM near_duplicates
    UNION ALL SELECT match_id, image_id, tier FROM near_duplicates),
  judged AS (
    SELECT r.a, r.b, r.tier, (SELECT v.verdict FROM verdicts v
      WHERE v.tenant_id = i.tenant_id AND v.a = i.content_hash AND v.b = j.content_hash) AS verdict
    FROM recorded r JOIN images i ON i.id = r.a AND i.deleted_at IS NULL JOIN images j ON j.id = r.b AND j.deleted_at IS NULL),
  pairs AS (
    SELECT a, b, CASE WHEN verdict = 'variant' THEN 'variant' WHEN tier IN ('identical', 'reencoded', 'edited') THEN tier
      WHEN verdict = 'same' THEN 'edited' ELSE tier END AS tier
    FROM judged WHERE verdict IS DISTINCT FROM 'different'),
  kinds AS (
    SELECT a, b, tier, CASE WHEN tier IN ('possible', 'variant') THEN tier ELSE 'duplicate' END AS kind,
      CASE tier WHEN 'identical' THEN 1 WHEN 'reencoded' THEN 2 WHEN 'edited' THEN 3 ELSE 4 END AS weakness
    FROM pairs WHERE tier IS NOT NULL),
  members AS (
    SELECT m.image_id, m.kind, g.id AS group_id, g.representative_id, m.image_id = g.representative_id AS is_representative
    FROM duplicate_members m JOIN duplicate_groups g ON g.id = m.group_id)
  SELECT
    ${list(`SELECT image_id, kind FROM members m WHERE NOT is_representative AND NOT EXISTS (
      SELECT FROM kinds k WHERE k.a = m.image_id AND k.b = m.representative_id AND k.kind = m.kind)`)}
      AS "members that do not match the representative",
    ${list(`SELECT k.a, k.b, k.kind FROM kinds k
      WHERE NOT EXISTS (SELECT FROM members m WHERE m.image_id = k.a AND m.kind = k.kind)
      AND NOT EXISTS (SELECT FROM members m WHERE m.image_id = k.b AND m.kind = k.kind AND NOT is_representative)`)}
      AS "images without a group that match a representative or each other",
    ${list(`SELECT g.id, g.size, g.tier FROM duplicate_groups g WHERE g.size < 2
      OR g.size <> (SELECT count(*) FROM members m WHERE m.group_id = g.id)
      OR NOT EXISTS (SELECT FROM members m WHERE m.group_id = g.id AND is_representative AND m.kind = g.kind)
      OR g.tier IS DISTINCT FROM (SELECT k.tier FROM members m JOIN kinds k ON k.a = m.image_id AND k.b = m.representative_id
        AND k.kind = m.kind WHERE m.group_id = g.id ORDER BY k.weakness DESC LIMIT 1)`)}
      AS "groups with a wrong size or tier",
    ${list(`SELECT n.image_id, n.match_id FROM near_duplicates n JOIN images i ON i.id = n.image_id
      JOIN images j ON j.id = n.match_id WHERE n.verdict IS DISTINCT FROM (SELECT v.verdict FROM verdicts v
        WHERE v.tenant_id = i.tenant_id AND v.a = i.content_hash AND v.b = j.content_hash)`)}
      AS "pairs with a wrong verdict",
    ${list(`SELECT id FROM images WHERE in_use_count <> (SELECT count(*) FROM image_references WHERE image_id = images.id)`)}
      AS "images with a wrong number of references"`;
