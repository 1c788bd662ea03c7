import { z } from 'zod';
import { allScopes, roleNames } from '../../model/access.ts';
import {
  type ApiKey,
  maxKeyExpirySeconds,
  maxKeyNameLength,
  maxOverlapSeconds,
} from '../../model/api-key.ts';
import type { Revocation } from '../../db/api-key-changes.ts';
import type { CreatedApiKey } from '../../services/access/api-keys.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { tenantField, wholeNumberField } from '../fields/fields.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';

/** Default page size. */
const pageSize = 100;

/** How long a rotated key keeps working by default: one day. */
const defaultOverlapSeconds = 86_400;

const keyIdField = z
  .string()
  .regex(/^[0-9a-f]{16}$/, 'must be the id of an API key: 16 hexadecimal digits')
  .describe('Id of an API key: the part between the two underscores.');
const keyParams = z.object({ id: keyIdField });
const scopeField = z.enum(allScopes);

const createBody = z.strictObject({
  name: z
    .string()
    .max(maxKeyNameLength)
    .regex(/^(?!\s*$)[^\p{Cc}\p{Cs}]*$/u, 'must not be blank or contain control characters')
    .describe('What the key is for.'),
  role: z.enum(roleNames).optional().describe('A named set of scopes.'),
  scopes: z
    .array(scopeField)
    .max(allScopes.length)
    .optional()
    .describe('Scopes, in addition to those of the role.'),
  tenant: tenantField
    .nullish()
    .describe(
      'The only tenant that the key can access; it is created if it does not exist. Names are case-sensitive. Defaults to the tenant of the caller, if it has one.',
    ),
  expires_in: z
    .int()
    .min(1)
    .max(maxKeyExpirySeconds)
    .nullish()
    .describe(
      'Seconds until the key expires. By default, it expires with the key of the caller, or never if that does not expire.',
    ),
});
const rotateBody = z.strictObject({
  overlap: z
    .int()
    .min(0)
    .max(maxOverlapSeconds)
    .default(defaultOverlapSeconds)
    .describe('Seconds for which the old key keeps working.'),
});
const revokeQuery = z.strictObject({
  descendants: z
    .enum(['true', 'false'])
    .optional()
    .describe('Whether to revoke every key that was created or rotated from this one, too, and their keys.'),
});
const listQuery = z.strictObject({
  limit: wholeNumberField(1, 1_000, `Maximum number of entries; default ${pageSize}.`).optional(),
  after: keyIdField.optional().describe('Id of the last key of the previous page.'),
});

const keySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    tenant: z.string().nullable().describe('`null`: the key can access all tenants.'),
    role: z.enum(roleNames).nullable(),
    scopes: z.array(scopeField),
    created_by: z.string(),
    has_secret: z
      .boolean()
      .describe(
        'False if the key was hashed with a secret that is no longer in `SECRET_KEY`; it does not work.',
      ),
    has_newest_secret: z
      .boolean()
      .describe(
        'False if an older secret of `SECRET_KEY` hashed the key. It is hashed again when it is used; until then, it needs that secret.',
      ),
    replaced_id: z.string().nullable().describe('Id of the key that this one replaced in a rotation.'),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable(),
    revoked_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable().describe('Accurate to a minute.'),
  })
  .meta({ id: 'ApiKey' });
const createdKeySchema = keySchema
  .extend({
    key: z.string().describe('The key itself. It is shown only once.'),
    tenant_created: z.boolean().describe('Whether the tenant did not exist before.'),
  })
  .meta({ id: 'CreatedApiKey' });
const revocationSchema = z
  .object({
    revoked: z
      .array(z.object({ id: z.string(), name: z.string() }))
      .describe(
        'The keys that were revoked, oldest first. Does not include keys that had been revoked before.',
      ),
    active_descendants: z
      .int()
      .describe('How many keys that were created or rotated from this one, and their keys, still work.'),
  })
  .meta({ id: 'KeyRevocation' });
const listSchema = z.object({
  items: z.array(keySchema),
  next_after: z.string().nullable().describe('`after` of the next page; `null` on the last page.'),
});

/** Routes that manage API keys. */
export const apiKeyRoutes: RoutePlugin = (app, { services: { apiKeys } }) => {
  const tags = ['Access'];

  app.post(
    '/keys',
    {
      config: { access: 'apiKeys.create', isIdempotent: true },
      schema: {
        tags,
        summary: 'Create an API key',
        description:
          'The key never has more rights than the caller, and never outlives it. Its text is only in this response.',
        bodies: jsonBody(createBody),
        response: responses(
          { 201: json(createdKeySchema, 'The new key.') },
          'invalid_request',
          'invalid_tenant',
          'tenant_not_allowed',
          'key_exceeds_caller',
        ),
      },
    },
    async (request, reply) => {
      const { name, role, scopes, tenant, expires_in } = readJsonBody(request, createBody);
      const created = await apiKeys.create(getPrincipal(request), {
        name,
        role,
        scopes,
        tenantName: tenant ?? undefined,
        expiresInSeconds: expires_in ?? undefined,
      });
      return reply.code(201).header('cache-control', 'no-store').send(toCreatedRecord(created));
    },
  );

  app.get(
    '/keys',
    {
      config: { access: 'apiKeys.list' },
      schema: {
        tags,
        summary: 'List API keys, newest first',
        description:
          'Includes expired and revoked keys. A caller with a tenant sees only the keys of this tenant.',
        querystring: listQuery,
        response: responses({ 200: json(listSchema, 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const { limit = pageSize, after } = request.query;
      const keys = await apiKeys.list(getPrincipal(request), limit + 1, after);
      const page = keys.slice(0, limit);
      return {
        items: page.map(toRecord),
        next_after: keys.length > limit ? (page.at(-1)?.id ?? null) : null,
      };
    },
  );

  app.get(
    '/keys/:id',
    {
      config: { access: 'apiKeys.find' },
      schema: {
        tags,
        summary: 'Get an API key',
        params: keyParams,
        response: responses({ 200: json(keySchema, 'The key.') }, 'invalid_request', 'key_not_found'),
      },
    },
    async (request) => toRecord(await apiKeys.find(getPrincipal(request), request.params.id)),
  );

  app.post(
    '/keys/:id/rotate',
    {
      config: { access: 'apiKeys.rotate', isIdempotent: true },
      schema: {
        tags,
        summary: 'Replace an API key',
        description:
          'Creates a key with the same rights and expiry. The old key keeps working for `overlap` seconds.',
        params: keyParams,
        bodies: jsonBody(rotateBody),
        response: responses(
          { 201: json(createdKeySchema, 'The new key.') },
          'invalid_request',
          'key_not_found',
          'key_not_active',
          'key_replaced',
          'key_exceeds_caller',
        ),
      },
    },
    async (request, reply) => {
      const { overlap } = readJsonBody(request, rotateBody);
      const created = await apiKeys.rotate(getPrincipal(request), request.params.id, overlap);
      return reply.code(201).header('cache-control', 'no-store').send(toCreatedRecord(created));
    },
  );

  app.delete(
    '/keys/:id',
    {
      config: { access: ['apiKeys.revoke', 'apiKeys.revokeWithDescendants'] },
      schema: {
        tags,
        summary: 'Revoke an API key',
        description: 'Every process rejects the key within 5 seconds.',
        params: keyParams,
        querystring: revokeQuery,
        response: responses(
          { 200: json(revocationSchema, 'The revoked keys.') },
          'invalid_request',
          'key_not_found',
        ),
      },
    },
    async (request) => {
      const [principal, { query, params }] = [getPrincipal(request), request];
      const revocation =
        query.descendants === 'true'
          ? await apiKeys.revokeWithDescendants(principal, params.id)
          : await apiKeys.revoke(principal, params.id);
      return toRevocationRecord(revocation);
    },
  );
};

/** Converts a key to the `/v1` JSON format. */
export function toRecord(key: ApiKey): z.input<typeof keySchema> {
  return {
    id: key.id,
    name: key.name,
    tenant: key.tenant,
    role: key.role,
    scopes: [...key.scopes],
    created_by: key.createdBy,
    has_secret: key.hasSecret,
    has_newest_secret: key.hasNewestSecret,
    replaced_id: key.replacedId,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}

function toCreatedRecord(created: CreatedApiKey): z.input<typeof createdKeySchema> {
  return { ...toRecord(created), key: created.text, tenant_created: created.isTenantNew };
}

function toRevocationRecord({ revoked, activeDescendants }: Revocation): z.input<typeof revocationSchema> {
  return { revoked: [...revoked], active_descendants: activeDescendants };
}
