-- What a tenant has set for itself, or was set for it, by the names in src/model/tenant-settings.ts. The installation's
-- defaults apply to everything else.
ALTER TABLE tenants ADD COLUMN settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object');

-- Imports by URL on the latest day on which the tenant imported. Images cannot be counted instead, because they may have
-- been deleted since.
CREATE TABLE import_counts (
  tenant_id integer PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  -- In UTC.
  day date NOT NULL,
  count bigint NOT NULL
);
SELECT isolate_tenants('import_counts', 'tenant_id');
