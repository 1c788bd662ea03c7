-- Renditions in several formats and densities, made at intake or on request, and old ones beside new ones.

ALTER TABLE images
  -- The point that `cover` keeps in view, as fractions of the upright picture.
  ADD COLUMN focus_x real CHECK (focus_x BETWEEN 0 AND 1),
  ADD COLUMN focus_y real CHECK (focus_y BETWEEN 0 AND 1),
  ADD CONSTRAINT images_focus CHECK ((focus_x IS NULL) = (focus_y IS NULL)),
  -- SHA-256 of the metadata that renditions keep; empty if there is none, NULL if the picture has not been examined.
  ADD COLUMN kept_metadata text;

ALTER TABLE renditions
  ADD COLUMN density smallint NOT NULL DEFAULT 1,
  -- Whether records list the rendition: the first format of its preset, in density 1.
  ADD COLUMN is_listed boolean NOT NULL DEFAULT true,
  -- Made when it was first requested. May be removed to save space, because it is made again on request.
  ADD COLUMN is_on_request boolean NOT NULL DEFAULT false,
  -- Replaced by a rendition with another recipe. It is still served at its own address, and removed after a grace period.
  ADD COLUMN superseded_at timestamptz,
  -- The hour in which it was last served from storage. Only set for renditions made on request.
  ADD COLUMN served_at timestamptz,
  DROP CONSTRAINT renditions_image_id_preset_key;
CREATE UNIQUE INDEX renditions_current ON renditions (image_id, preset, format, density) WHERE superseded_at IS NULL;
CREATE UNIQUE INDEX renditions_by_recipe ON renditions (image_id, preset, format, density, recipe);
CREATE UNIQUE INDEX renditions_listed ON renditions (image_id, preset) WHERE is_listed AND superseded_at IS NULL;
CREATE INDEX renditions_superseded ON renditions (superseded_at) WHERE superseded_at IS NOT NULL;
CREATE INDEX renditions_by_last_use ON renditions (served_at) WHERE is_on_request;
