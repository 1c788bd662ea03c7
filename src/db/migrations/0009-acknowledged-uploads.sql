-- A client was given the image while it was being processed. If the picture then cannot be decoded, the image is kept as
-- failed instead of being withdrawn.
ALTER TABLE images ADD COLUMN acknowledged boolean NOT NULL DEFAULT false;
