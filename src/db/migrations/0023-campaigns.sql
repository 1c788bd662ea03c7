-- The presets that all processes use, and campaigns that make renditions again after a change.

-- The presets in force. A server registers its presets at its start; workers and running servers follow.
CREATE TABLE presets_in_force (
  version integer NOT NULL,
  -- All presets with all their options, in the order of PRESETS.
  presets jsonb NOT NULL CHECK (jsonb_typeof(presets) = 'array'),
  -- Version of the program that registered them.
  registered_by text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  is_only_row boolean NOT NULL DEFAULT true UNIQUE CHECK (is_only_row)
);
