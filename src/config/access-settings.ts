import { authModes } from '../model/access.ts';
import { deliveryModes } from '../model/tenant-settings.ts';
import { bearerSecret, limitOrNone, oneOf, printableText, secretList } from './parsers.ts';
import { optional, withDefault } from './setting.ts';

/** Settings of API keys, signed links and the delivery of renditions. */
export const accessSettings = {
  auth: optional('AUTH', oneOf(authModes), {
    about:
      '`keys`: every request needs an API key; `open`: everyone who can reach the server may do everything. A server that other machines can reach (`HOST`, `PUBLIC_URL`, `ALLOWED_HOSTS`, serverless) does not start until this is set. See [access](access.md).',
    fallbackDescription: '`open` if only this machine can reach the server; otherwise it does not start',
  }),
  secretKeys: withDefault('SECRET_KEY', secretList, '', {
    isSecret: true,
    about:
      'Secrets for hashing API keys and signing links, separated by commas, the newest first: the first one is used for new keys and links, and all of them are accepted. At least 32 characters each. All processes of an installation need the same value. See [how to replace a secret](access.md#secrets).',
    fallbackDescription:
      'with the embedded database, generated and kept in `DATA_DIR/secret-key`; with `DATABASE_URL` and `AUTH=keys`, required',
  }),
  bootstrapAdminKey: optional('BOOTSTRAP_ADMIN_KEY', bearerSecret, {
    isSecret: true,
    about:
      'An API key with all scopes, of at least 32 characters, for hosts without a shell. Use it to create a key of your own, then unset it.',
  }),
  delivery: optional('DELIVERY', oneOf(deliveryModes), {
    about:
      'Who may read renditions at their UUID: `public`: everyone, because a UUID cannot be guessed; `signed`: callers with a key or a signed link. Tenants can have [settings of their own](access.md#delivery). No effect with `AUTH=open`.',
    fallbackDescription: '`signed` with `AUTH=keys`, `public` with `AUTH=open`',
  }),
  apiKey: optional('VITRINE_API_KEY', printableText, {
    isSecret: true,
    about:
      'API key that commands such as `import`, `seed` and `purge` send. Commands on the same machine as an embedded server need none.',
  }),
} as const;

/** Default quotas of tenants. */
export const quotaSettings = {
  images: withDefault('QUOTA_IMAGES', limitOrNone, 'none', {
    about:
      'Maximum number of images per tenant. As many deleted images may wait for a purge; those beyond that count, too.',
  }),
  bytes: withDefault('QUOTA_BYTES', limitOrNone, 'none', {
    about:
      'Maximum size of the originals and renditions of a tenant, in bytes. Deleted images that wait for a purge may use as much again; what they use beyond that counts, too.',
  }),
  importsPerDay: withDefault('QUOTA_IMPORTS_PER_DAY', limitOrNone, 'none', {
    about: 'Maximum number of imports by URL per tenant and day (UTC).',
  }),
} as const;
