-- Somebody was answered with the image while it was in work: an upload that proves to be no usable picture is then kept as
-- failed, and not withdrawn.
ALTER TABLE images ADD COLUMN acknowledged boolean NOT NULL DEFAULT false;
