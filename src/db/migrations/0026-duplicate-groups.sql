-- What people decide about pairs of pictures, the groups of duplicates, and which images replaced which.

-- Hashes are compared byte by byte, whatever the collation of the database.
CREATE FUNCTION smaller_hash(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT least(a COLLATE "C", b COLLATE "C") $$;
CREATE FUNCTION larger_hash(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT greatest(a COLLATE "C", b COLLATE "C") $$;

-- A verdict belongs to two contents rather than two images, so that it outlives new fingerprints, another derivation and
-- another upload of the same file. The smaller hash comes first: a pair has one verdict, whichever image is named first.
CREATE TABLE duplicate_verdicts (
  tenant_id integer NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  content_hash text NOT NULL,
  other_hash text NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('same', 'different', 'variant')),
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, content_hash, other_hash),
  CHECK (content_hash COLLATE "C" < other_hash COLLATE "C")
);
CREATE INDEX duplicate_verdicts_by_other ON duplicate_verdicts (tenant_id, other_hash, content_hash);

-- Each pair is stored once, under the id of the newer image. Old versions may have stored it under that of the other one.
DELETE FROM near_duplicates reversed USING near_duplicates pair
WHERE reversed.image_id < reversed.match_id AND pair.image_id = reversed.match_id AND pair.match_id = reversed.image_id;
UPDATE near_duplicates SET image_id = match_id, match_id = image_id WHERE image_id < match_id;
DELETE FROM near_duplicates WHERE image_id = match_id;
ALTER TABLE near_duplicates ADD CONSTRAINT near_duplicates_newer_first CHECK (image_id > match_id);

-- A pair that only a person has named was not found by the search, so it has no tier, distance or difference.
ALTER TABLE near_duplicates
  ALTER COLUMN tier DROP NOT NULL,
  ALTER COLUMN distance DROP NOT NULL,
  ALTER COLUMN difference DROP NOT NULL,
  -- A copy of the verdict on the two contents. What the search found stays, and counts again without the verdict.
  ADD COLUMN verdict text CHECK (verdict IN ('same', 'different', 'variant')),
  -- The tier under which the pair is shown; NULL if it is not shown.
  ADD COLUMN shown_tier text GENERATED ALWAYS AS (
    CASE verdict
      WHEN 'different' THEN NULL
      WHEN 'variant' THEN 'variant'
      WHEN 'same' THEN CASE WHEN tier IN ('identical', 'reencoded', 'edited') THEN tier ELSE 'edited' END
      ELSE tier
    END) STORED,
  ADD CONSTRAINT near_duplicates_found_or_judged CHECK (tier IS NOT NULL OR coalesce(verdict IN ('same', 'variant'), false));

-- A group consists of a representative and the images that match it. Nothing here has a foreign key to images: groups are
-- changed under a lock that comes after the locks on images, and a foreign key would lock images once more.
CREATE TABLE duplicate_groups (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id integer NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  -- Duplicates, possible duplicates and variants form separate groups.
  kind text NOT NULL CHECK (kind IN ('duplicate', 'possible', 'variant')),
  representative_id bigint NOT NULL,
  -- The weakest tier of the pairs of the representative with the other images.
  tier text NOT NULL CHECK (tier IN ('identical', 'reencoded', 'edited', 'possible', 'variant')),
  -- Number of images, including the representative.
  size integer NOT NULL,
  UNIQUE (representative_id, kind)
);
CREATE INDEX duplicate_groups_by_tenant_and_kind ON duplicate_groups (tenant_id, kind, id DESC);
CREATE INDEX duplicate_groups_by_tenant_and_tier ON duplicate_groups (tenant_id, tier, id DESC);
CREATE INDEX duplicate_groups_by_kind ON duplicate_groups (kind, id DESC);
CREATE INDEX duplicate_groups_by_tier ON duplicate_groups (tier, id DESC);

-- The images of each group, including the representative. An image is in at most one group of each kind.
CREATE TABLE duplicate_members (
  image_id bigint NOT NULL,
  kind text NOT NULL,
  group_id bigint NOT NULL REFERENCES duplicate_groups (id) ON DELETE CASCADE,
  tenant_id integer NOT NULL,
  PRIMARY KEY (image_id, kind)
);
CREATE INDEX duplicate_members_by_group ON duplicate_members (group_id, image_id);

-- Deleted images that another image of their group replaces, so that a repeated request changes nothing.
CREATE TABLE duplicate_resolutions (
  image_id bigint PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
  kept_id bigint NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  tenant_id integer NOT NULL,
  group_id bigint NOT NULL,
  -- Number of references that the kept image did not have.
  moved_references integer NOT NULL
);
CREATE INDEX duplicate_resolutions_by_kept ON duplicate_resolutions (kept_id);

SELECT isolate_tenants(relation, 'tenant_id') FROM unnest(ARRAY[
  'duplicate_verdicts', 'duplicate_groups', 'duplicate_members', 'duplicate_resolutions'
]::regclass[]) AS relation;

CREATE FUNCTION duplicate_kind(tier text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT CASE WHEN tier IN ('identical', 'reencoded', 'edited') THEN 'duplicate' ELSE tier END $$;

CREATE FUNCTION tier_rank(tier text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT array_position(ARRAY['identical', 'reencoded', 'edited', 'possible', 'variant'], tier) $$;

CREATE FUNCTION tier_of_rank(rank integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT (ARRAY['identical', 'reencoded', 'edited', 'possible', 'variant'])[rank] $$;

-- The images with which an image is shown as a pair.
CREATE FUNCTION shown_pairs_of(image bigint)
RETURNS TABLE (other_id bigint, tier text, distance smallint, difference real) LANGUAGE sql STABLE AS $$
  SELECT pair.other_id, pair.shown_tier, pair.distance, pair.difference FROM (
    SELECT match_id AS other_id, n.shown_tier, n.distance, n.difference FROM near_duplicates n WHERE image_id = image
    UNION ALL
    SELECT image_id, n.shown_tier, n.distance, n.difference FROM near_duplicates n WHERE match_id = image) pair
  WHERE pair.shown_tier IS NOT NULL AND (SELECT true FROM images WHERE id = pair.other_id AND deleted_at IS NULL)
$$;

-- Every change of groups takes this lock, as the last lock on anything that other transactions change. A transaction that
-- waits for it then sees what the other one has committed.
CREATE FUNCTION lock_duplicate_groups(tenant integer) RETURNS void LANGUAGE sql AS
  $$ SELECT pg_advisory_xact_lock(-3, tenant) $$;

-- Puts an image into a group of each kind for which it has pairs and no group: into that of the nearest representative, or
-- into a new one together with the images that have no group either.
CREATE FUNCTION join_duplicate_groups(tenant integer, image bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  kind_to_join text;
  target bigint;
  weakest integer;
  others bigint[];
  representative bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM images WHERE id = image AND deleted_at IS NULL) THEN RETURN; END IF;
  FOR kind_to_join IN
    SELECT DISTINCT duplicate_kind(p.tier) FROM shown_pairs_of(image) p
    WHERE NOT EXISTS (SELECT FROM duplicate_members m WHERE m.image_id = image AND m.kind = duplicate_kind(p.tier))
  LOOP
    SELECT g.id, tier_rank(p.tier) INTO target, weakest
    FROM shown_pairs_of(image) p JOIN duplicate_groups g ON g.representative_id = p.other_id AND g.kind = kind_to_join
    WHERE duplicate_kind(p.tier) = kind_to_join
    ORDER BY tier_rank(p.tier), p.distance, p.difference, p.other_id LIMIT 1;
    IF target IS NOT NULL THEN
      INSERT INTO duplicate_members (image_id, kind, group_id, tenant_id) VALUES (image, kind_to_join, target, tenant);
      UPDATE duplicate_groups SET size = size + 1,
        tier = tier_of_rank(greatest(tier_rank(tier), weakest))
      WHERE id = target;
      CONTINUE;
    END IF;
    others := ARRAY(SELECT p.other_id FROM shown_pairs_of(image) p WHERE duplicate_kind(p.tier) = kind_to_join
      AND NOT EXISTS (SELECT FROM duplicate_members m WHERE m.image_id = p.other_id AND m.kind = kind_to_join));
    CONTINUE WHEN others = '{}';
    representative := CASE WHEN cardinality(others) = 1 THEN least(image, others[1]) ELSE image END;
    -- All images without a group that match the representative must join it, not only those that match this image.
    others := ARRAY(SELECT p.other_id FROM shown_pairs_of(representative) p WHERE duplicate_kind(p.tier) = kind_to_join
      AND NOT EXISTS (SELECT FROM duplicate_members m WHERE m.image_id = p.other_id AND m.kind = kind_to_join));
    INSERT INTO duplicate_groups (tenant_id, kind, representative_id, tier, size)
    SELECT tenant, kind_to_join, representative,
      tier_of_rank(max(tier_rank(p.tier))), 1 + cardinality(others)
    FROM shown_pairs_of(representative) p WHERE p.other_id = ANY (others)
    RETURNING id INTO target;
    INSERT INTO duplicate_members (image_id, kind, group_id, tenant_id)
    SELECT member, kind_to_join, target, tenant FROM unnest(representative || others) member;
  END LOOP;
END $$;

-- Corrects the groups after changes of these images or of their pairs. Afterwards, each member of a group is shown as a pair
-- with the representative, and an image without a group matches neither a representative nor another image without a group.
CREATE FUNCTION regroup_duplicates(tenant integer, changed bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  touched bigint[];
  dissolved bigint[];
  freed bigint[];
  image bigint;
BEGIN
  PERFORM lock_duplicate_groups(tenant);
  touched := ARRAY(SELECT DISTINCT group_id FROM duplicate_members WHERE image_id = ANY (changed));
  WITH lost AS (
    DELETE FROM duplicate_members m USING duplicate_groups g
    WHERE g.id = ANY (touched) AND m.group_id = g.id AND (
      -- Only a change of the representative itself concerns members that have not changed.
      g.representative_id = ANY (changed)
        AND NOT EXISTS (SELECT FROM images WHERE id = g.representative_id AND deleted_at IS NULL)
      OR m.image_id = ANY (changed) AND m.image_id <> g.representative_id AND NOT EXISTS (
        SELECT FROM near_duplicates n JOIN images i ON i.id = m.image_id AND i.deleted_at IS NULL
        WHERE n.image_id = greatest(m.image_id, g.representative_id) AND n.match_id = least(m.image_id, g.representative_id)
          AND duplicate_kind(n.shown_tier) = g.kind))
    RETURNING m.image_id)
  SELECT coalesce(array_agg(image_id), '{}') INTO freed FROM lost;
  UPDATE duplicate_groups g SET size = members.count, tier = coalesce(members.tier, g.tier)
  FROM (
    SELECT touched_group.id, count(m.image_id) AS count,
      tier_of_rank(max(tier_rank(n.shown_tier))) AS tier
    FROM duplicate_groups touched_group
    LEFT JOIN duplicate_members m ON m.group_id = touched_group.id
    LEFT JOIN near_duplicates n ON n.image_id = greatest(m.image_id, touched_group.representative_id)
      AND n.match_id = least(m.image_id, touched_group.representative_id)
    WHERE touched_group.id = ANY (touched) GROUP BY touched_group.id) members
  WHERE g.id = members.id AND (g.size <> members.count OR g.tier IS DISTINCT FROM members.tier);
  dissolved := ARRAY(SELECT id FROM duplicate_groups WHERE id = ANY (touched) AND size < 2);
  freed := freed || ARRAY(SELECT image_id FROM duplicate_members WHERE group_id = ANY (dissolved));
  DELETE FROM duplicate_groups WHERE id = ANY (dissolved);
  FOR image IN SELECT DISTINCT id FROM unnest(changed || freed) id ORDER BY id LOOP
    PERFORM join_duplicate_groups(tenant, image);
  END LOOP;
END $$;

-- New pairs break no group, so it is enough to place the images that have none. The image with most new pairs comes first: it
-- is the new one, and all the others match it.
CREATE FUNCTION group_new_pairs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant integer;
  image bigint;
BEGIN
  FOR tenant IN
    SELECT DISTINCT (SELECT tenant_id FROM images i WHERE i.id = r.image_id) AS tenant_id FROM new_rows r ORDER BY tenant_id
  LOOP
    PERFORM lock_duplicate_groups(tenant);
    -- A verdict may have been recorded while this pair was not visible yet. Its transaction held the lock.
    CONTINUE WHEN NOT EXISTS (SELECT FROM duplicate_verdicts WHERE tenant_id = tenant);
    UPDATE near_duplicates n SET verdict = v.verdict
    FROM new_rows r JOIN images i ON i.id = r.image_id JOIN images other ON other.id = r.match_id
    JOIN duplicate_verdicts v ON v.tenant_id = tenant AND v.content_hash = smaller_hash(i.content_hash, other.content_hash)
      AND v.other_hash = larger_hash(i.content_hash, other.content_hash)
    WHERE n.image_id = r.image_id AND n.match_id = r.match_id AND i.tenant_id = tenant
      AND n.verdict IS DISTINCT FROM v.verdict;
  END LOOP;
  FOR tenant, image IN
    SELECT (SELECT tenant_id FROM images i WHERE i.id = side.id), side.id
    FROM new_rows r JOIN near_duplicates n ON n.image_id = r.image_id AND n.match_id = r.match_id
    CROSS JOIN LATERAL (VALUES (n.image_id), (n.match_id)) side (id)
    WHERE n.shown_tier IS NOT NULL
      AND NOT EXISTS (SELECT FROM duplicate_members m WHERE m.image_id = side.id AND m.kind = duplicate_kind(n.shown_tier))
    GROUP BY side.id ORDER BY count(*) DESC, side.id
  LOOP
    PERFORM join_duplicate_groups(tenant, image);
  END LOOP;
  RETURN NULL;
END $$;

CREATE FUNCTION regroup_changed_pairs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant integer;
  images_of_tenant bigint[];
BEGIN
  FOR tenant, images_of_tenant IN
    SELECT i.tenant_id, array_agg(DISTINCT side.id) FROM new_rows n
    JOIN old_rows o ON o.image_id = n.image_id AND o.match_id = n.match_id AND o.shown_tier IS DISTINCT FROM n.shown_tier
    JOIN images i ON i.id = n.image_id
    CROSS JOIN LATERAL (VALUES (n.image_id), (n.match_id)) side (id) GROUP BY i.tenant_id ORDER BY i.tenant_id
  LOOP
    PERFORM regroup_duplicates(tenant, images_of_tenant);
  END LOOP;
  RETURN NULL;
END $$;

-- The images themselves may have been removed, so the tenant comes from the groups.
CREATE FUNCTION regroup_removed_pairs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  tenant integer;
  images_of_tenant bigint[];
BEGIN
  FOR tenant, images_of_tenant IN
    SELECT m.tenant_id, array_agg(DISTINCT m.image_id) FROM old_rows o
    JOIN duplicate_members m ON m.image_id IN (o.image_id, o.match_id)
    WHERE o.shown_tier IS NOT NULL GROUP BY m.tenant_id ORDER BY m.tenant_id
  LOOP
    PERFORM regroup_duplicates(tenant, images_of_tenant);
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER group_new AFTER INSERT ON near_duplicates
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION group_new_pairs();
CREATE TRIGGER regroup_changed AFTER UPDATE ON near_duplicates
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION regroup_changed_pairs();
CREATE TRIGGER regroup_removed AFTER DELETE ON near_duplicates
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION regroup_removed_pairs();

-- Records the pairs that a person has named for the content of an image, unless the search has found them.
CREATE FUNCTION add_judged_pairs(image images) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO near_duplicates (image_id, match_id, tier, verdict, reason)
  SELECT greatest(image.id, i.id), least(image.id, i.id), NULL, judged.verdict, 'decided by a person'
  FROM (
    SELECT other_hash AS hash, verdict FROM duplicate_verdicts
    WHERE tenant_id = image.tenant_id AND content_hash = image.content_hash
    UNION ALL
    SELECT content_hash, verdict FROM duplicate_verdicts
    WHERE tenant_id = image.tenant_id AND other_hash = image.content_hash) judged
  JOIN images i ON i.tenant_id = image.tenant_id AND i.content_hash = judged.hash
    AND i.deleted_at IS NULL AND i.duplicate_of IS NULL
  WHERE judged.verdict <> 'different'
  ON CONFLICT DO NOTHING;
END $$;

CREATE FUNCTION pair_completed_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- This runs for every image that is completed, and few tenants have verdicts.
  IF EXISTS (SELECT FROM duplicate_verdicts WHERE tenant_id = NEW.tenant_id) THEN PERFORM add_judged_pairs(NEW); END IF;
  RETURN NULL;
END $$;

-- Pairs cannot appear meanwhile: the transaction that deletes or restores an image has locked its row.
CREATE FUNCTION regroup_deleted_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.deleted_at IS NULL AND NEW.duplicate_of IS NULL THEN PERFORM add_judged_pairs(NEW); END IF;
  IF EXISTS (SELECT FROM near_duplicates WHERE image_id = NEW.id)
    OR EXISTS (SELECT FROM near_duplicates WHERE match_id = NEW.id)
  THEN PERFORM regroup_duplicates(NEW.tenant_id, ARRAY[NEW.id]);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER pair_completed AFTER UPDATE OF status ON images
  FOR EACH ROW WHEN (NEW.status = 'completed' AND OLD.status <> 'completed' AND NEW.deleted_at IS NULL
    AND NEW.duplicate_of IS NULL) EXECUTE FUNCTION pair_completed_image();
CREATE TRIGGER regroup_deleted AFTER UPDATE OF deleted_at ON images
  FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION regroup_deleted_image();

-- Groups the pairs that have been recorded so far. An image that matches no older one represents the newer ones that match it.
-- Few images are left after that, such as the ends of chains.
CREATE TEMPORARY TABLE recorded_pairs ON COMMIT DROP AS
  SELECT i.tenant_id, duplicate_kind(n.shown_tier) AS kind, side.image, side.other, n.shown_tier AS tier, n.distance, n.difference
  FROM near_duplicates n JOIN images i ON i.id = n.image_id AND i.deleted_at IS NULL
  JOIN images match ON match.id = n.match_id AND match.deleted_at IS NULL
  CROSS JOIN LATERAL (VALUES (n.image_id, n.match_id), (n.match_id, n.image_id)) side (image, other)
  WHERE n.shown_tier IS NOT NULL;
CREATE TEMPORARY TABLE recorded_members ON COMMIT DROP AS
  SELECT DISTINCT ON (p.kind, p.image) p.tenant_id, p.kind, p.image, p.other AS representative, p.tier
  FROM recorded_pairs p
  JOIN (SELECT kind, image FROM recorded_pairs GROUP BY kind, image HAVING min(other) > image) r
    ON r.kind = p.kind AND r.image = p.other
  ORDER BY p.kind, p.image, tier_rank(p.tier), p.distance, p.difference, p.other;
INSERT INTO duplicate_groups (tenant_id, kind, representative_id, tier, size)
SELECT tenant_id, kind, representative, tier_of_rank(max(tier_rank(tier))), 1 + count(*)
FROM recorded_members GROUP BY tenant_id, kind, representative ORDER BY representative;
INSERT INTO duplicate_members (image_id, kind, group_id, tenant_id)
SELECT representative_id, kind, id, tenant_id FROM duplicate_groups
UNION ALL
SELECT m.image, m.kind, g.id, m.tenant_id FROM recorded_members m
JOIN duplicate_groups g ON g.representative_id = m.representative AND g.kind = m.kind;
DO $$
DECLARE
  tenant integer;
  image bigint;
BEGIN
  FOR tenant, image IN
    SELECT DISTINCT p.tenant_id, p.image FROM recorded_pairs p
    LEFT JOIN duplicate_members m ON m.image_id = p.image AND m.kind = p.kind WHERE m.image_id IS NULL
    ORDER BY p.tenant_id, p.image
  LOOP
    PERFORM join_duplicate_groups(tenant, image);
  END LOOP;
END $$;
