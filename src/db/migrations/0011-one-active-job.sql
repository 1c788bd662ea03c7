-- An image has at most one job that is pending or processing. Two of them could be claimed as first runs, which do not
-- lock the files of other images: the second one then replaced renditions that another image shares, and left them
-- without an owner.
DELETE FROM jobs WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY image_id ORDER BY state = 'processing' DESC, id DESC) AS place
    FROM jobs WHERE state IN ('pending', 'processing') AND image_id IS NOT NULL) active_jobs
  WHERE place > 1);
CREATE UNIQUE INDEX jobs_one_active ON jobs (image_id) WHERE state IN ('pending', 'processing');
