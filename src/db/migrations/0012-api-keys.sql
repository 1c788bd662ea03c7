-- API keys. Only a keyed hash of each key is stored: a copy of this table authenticates nobody.
CREATE TABLE api_keys (
  -- The public part of the key, 16 hexadecimal digits.
  id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
  name text NOT NULL,
  -- The only tenant that the key can access; NULL allows all tenants.
  tenant_id integer REFERENCES tenants (id),
  -- The role that the scopes came from, for display; NULL if they were listed one by one.
  role text,
  scopes text[] NOT NULL,
  -- Id of the secret in SECRET_KEY that made the hash.
  secret_id text NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  -- Who created the key, for display.
  created_by text NOT NULL,
  -- The key that created this key: this key never has more rights than that one. NULL for a key created by the operator.
  creator_id text REFERENCES api_keys (id),
  -- The key that this one replaced in a rotation.
  replaced_id text REFERENCES api_keys (id),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  -- Accurate to a minute.
  last_used_at timestamptz
);
CREATE INDEX api_keys_by_creation ON api_keys (created_at DESC, id DESC);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at DESC, id DESC);
CREATE INDEX api_keys_by_creator ON api_keys (creator_id);
CREATE INDEX api_keys_by_replaced ON api_keys (replaced_id);
