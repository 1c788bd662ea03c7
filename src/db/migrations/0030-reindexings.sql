-- A campaign can also describe pictures again, after the fingerprint or the embedding has changed.

ALTER TABLE campaigns
  -- The embedding space and the version of fingerprints into which the images are brought; NULL for a re-rendering.
  ADD COLUMN space text,
  ADD COLUMN fingerprint_version smallint,
  ADD CONSTRAINT campaigns_description CHECK ((space IS NULL) = (fingerprint_version IS NULL)),
  DROP CONSTRAINT campaigns_presets_check,
  ADD CONSTRAINT campaigns_presets_check CHECK ((presets = '{}') = (space IS NOT NULL));

-- Tenants whose images are searched in an older space until all of them have been described again.
CREATE TABLE search_spaces (
  tenant_id integer PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  space text NOT NULL
);
SELECT isolate_tenants('search_spaces', 'tenant_id');
