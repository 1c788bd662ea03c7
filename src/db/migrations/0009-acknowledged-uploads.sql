-- Whether a client received the image while it was being processed. If its file then cannot be decoded, the image is kept as
-- failed instead of being withdrawn.
ALTER TABLE images ADD COLUMN acknowledged boolean NOT NULL DEFAULT false;
