-- What turns the older picture of a pair into the newer one, and where they differ.

ALTER TABLE near_duplicates
  -- Names of edits, joined by "+", such as "mirrored+padded"; NULL if there are none.
  ADD COLUMN edit text,
  -- The part of the newer picture that differs: left, top, width and height, as fractions; NULL if no part stands out.
  ADD COLUMN box real[] CHECK (cardinality(box) = 4);
