-- Requests that were sent with an Idempotency-Key, and their responses. Kept for a day.
CREATE TABLE idempotent_requests (
  -- Whose key it is: that of an API key or, without keys, of a tenant.
  owner text NOT NULL,
  idempotency_key text NOT NULL,
  -- Digest of method, URL and body.
  request_hash bytea NOT NULL,
  -- While the first request is running: when its process counts as lost. Afterwards NULL.
  running_until timestamptz,
  -- The response, encrypted with a secret of SECRET_KEY, because it may contain an API key.
  secret_id text,
  response bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (owner, idempotency_key),
  CHECK ((running_until IS NULL) = (response IS NOT NULL))
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at);
