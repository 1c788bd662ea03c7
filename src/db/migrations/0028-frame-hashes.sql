-- Moves the hashes of pictures to a table of their own, with one row for each frame (a part of the picture that has its own
-- hash), and divides them into 12 bands instead of 16. A wider band is shared by fewer unrelated hashes, which matters
-- because the hashes of products on a white background resemble each other. See docs/search.md.

-- hash_bands(tenant, frame, hash) returns the index keys of a hash: for each band, `tenant << 24 | frame << 22 | bits`. Bit i
-- belongs to band (i + i / 16) mod 12, because the bits of one row or column of the hash are correlated. The same as `bandKeys`
-- in `hash-bands.ts`. Its body names each bit, because an aggregate over the bits would take several times as long.
DO $$
DECLARE
  body text;
BEGIN
  SELECT 'SELECT ARRAY[' || string_agg(band_key, ', ' ORDER BY band) || ']' INTO body FROM (
    SELECT band, '(tenant::bigint << 24) + (frame::bigint << 22) + '
      || string_agg(format('(get_bit(hash, %s) << %s)', i, place), ' + ') AS band_key
    FROM (
      SELECT i, (i + i / 16) % 12 AS band,
        (row_number() OVER (PARTITION BY (i + i / 16) % 12 ORDER BY i) - 1)::integer AS place
      FROM generate_series(0, 255) i) bits
    GROUP BY band) bands;
  EXECUTE 'CREATE FUNCTION hash_bands(tenant integer, frame integer, hash bit(256)) RETURNS bigint[] LANGUAGE sql
    IMMUTABLE PARALLEL SAFE AS ' || quote_literal(body);
END $$;

CREATE TABLE frame_hashes (
  tenant_id integer NOT NULL REFERENCES tenants (id),
  content_hash text NOT NULL,
  -- What is hashed and how: see `HashFrame`. Hashes of different frames are never compared.
  frame smallint NOT NULL,
  hash bit(256) NOT NULL,
  bands bigint[] NOT NULL,
  PRIMARY KEY (tenant_id, content_hash, frame)
);
INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
SELECT tenant_id, content_hash, 0, hash, hash_bands(tenant_id, 0, hash) FROM fingerprints;

DO $$
BEGIN
  FOR band IN 1..12 LOOP
    EXECUTE format('CREATE INDEX frame_hashes_by_band_%s ON frame_hashes ((bands[%s]))', band, band);
  END LOOP;
END $$;
SELECT isolate_tenants('frame_hashes', 'tenant_id');

-- Also drops the indexes on its elements.
ALTER TABLE fingerprints DROP COLUMN bands;

-- Returns the hashes that have one of `keys` in a band and differ in at most `max_bits` bits from one of their frame's
-- probes. `keys` are the keys of band 1, of band 2, and so on; those of band n end at stops[n + 1]. `hashes` are five probes
-- for each frame, or NULL.
--
-- A function, because its settings hold the plan: one bitmap scan for each band. The planner knows neither the number of keys
-- nor, before the first ANALYZE, how rare they are, and would read the whole table instead.
CREATE FUNCTION near_hashes(keys bigint[], stops integer[], hashes bit(256)[], max_bits integer)
  RETURNS TABLE (content_hash text, frame smallint, hash bit(256)) LANGUAGE plpgsql STABLE
  SET enable_seqscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY SELECT h.content_hash, h.frame, h.hash FROM frame_hashes h
  WHERE (h.bands[1] = ANY (keys[stops[1] + 1 : stops[2]]) OR h.bands[2] = ANY (keys[stops[2] + 1 : stops[3]])
    OR h.bands[3] = ANY (keys[stops[3] + 1 : stops[4]]) OR h.bands[4] = ANY (keys[stops[4] + 1 : stops[5]])
    OR h.bands[5] = ANY (keys[stops[5] + 1 : stops[6]]) OR h.bands[6] = ANY (keys[stops[6] + 1 : stops[7]])
    OR h.bands[7] = ANY (keys[stops[7] + 1 : stops[8]]) OR h.bands[8] = ANY (keys[stops[8] + 1 : stops[9]])
    OR h.bands[9] = ANY (keys[stops[9] + 1 : stops[10]]) OR h.bands[10] = ANY (keys[stops[10] + 1 : stops[11]])
    OR h.bands[11] = ANY (keys[stops[11] + 1 : stops[12]]) OR h.bands[12] = ANY (keys[stops[12] + 1 : stops[13]]))
    AND least(bit_count(h.hash # hashes[h.frame * 5 + 1]), bit_count(h.hash # hashes[h.frame * 5 + 2]),
      bit_count(h.hash # hashes[h.frame * 5 + 3]), bit_count(h.hash # hashes[h.frame * 5 + 4]),
      bit_count(h.hash # hashes[h.frame * 5 + 5])) <= max_bits;
END $$;
