import { makeAuditLog } from '../audit/audit-log.ts';
import type { ServiceConfig, ServiceParts } from '../service-parts.ts';
import type { Services } from '../services.ts';
import type { SettingsCache } from '../settings-cache.ts';
import { makeApiKeys } from './api-keys.ts';
import { type Authenticate, makeAuthenticate, openAuthentication } from './authenticate.ts';
import { type BeginIdempotent, makeBeginIdempotent } from './idempotency.ts';
import { makeImageTenants } from './image-tenants.ts';
import { type Links, makeLinks } from './links.ts';
import { makePublicDelivery, noPublicDelivery, type PublicDelivery } from './public-delivery.ts';
import { makeSignedPaths, type SignedPaths } from './signed-paths.ts';

/** What a request passes before it reaches a service. */
export interface AccessGates {
  readonly authenticate: Authenticate;
  readonly links: Links;
  readonly signedPaths: SignedPaths;
  readonly publicDelivery: PublicDelivery;
  readonly beginIdempotent: BeginIdempotent;
}

/** Wires the services that manage access, and the gates that use the same keys and secrets. */
export function composeAccess(
  { queries, ring, operatorKeys, presets, logger }: ServiceParts,
  { access, server }: ServiceConfig,
  settings: SettingsCache,
): AccessGates & { readonly services: Pick<Services, 'apiKeys' | 'audit' | 'links'> } {
  const { apiKeys, tenants, images, audit, auditChains, idempotentRequests } = queries;
  const authenticate =
    access.mode === 'open' ? openAuthentication : makeAuthenticate({ apiKeys, ring, operatorKeys, logger });
  const imageTenants = makeImageTenants({ images });
  const signedPaths = makeSignedPaths({ imageTenants, ring });
  const links = makeLinks({ images, apiKeys, presets, ring, signedPaths });
  return {
    authenticate,
    links,
    signedPaths,
    publicDelivery:
      access.mode === 'open'
        ? noPublicDelivery
        : makePublicDelivery({ imageTenants, settings, defaults: access }),
    beginIdempotent: makeBeginIdempotent({
      requests: idempotentRequests,
      ring,
      lostAfterMs: server.requestMs + server.inlineMs,
      logger,
    }),
    services: {
      apiKeys: makeApiKeys({ apiKeys, tenants, ring, authenticate, logger }),
      links: {
        toRendition: (...parameters) => links.toRendition(...parameters),
        toOriginal: (...parameters) => links.toOriginal(...parameters),
      },
      audit: makeAuditLog({ audit, auditChains }),
    },
  };
}
