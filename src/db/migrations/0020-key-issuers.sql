-- The key that created this key, or that rotated another key to it; NULL if the operator did. Unlike the creator, it does not
-- bound the rights of the key. It tells which keys must be revoked together with a stolen key.
ALTER TABLE api_keys ADD COLUMN issuer_id text REFERENCES api_keys (id);
UPDATE api_keys SET issuer_id = CASE
  WHEN replaced_id IS NULL THEN creator_id
  ELSE (SELECT issuer.id FROM api_keys issuer WHERE api_keys.created_by LIKE 'key %' AND issuer.id = substr(api_keys.created_by, 5, 16)) END;
CREATE INDEX api_keys_by_issuer ON api_keys (issuer_id);
