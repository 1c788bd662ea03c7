import { z } from 'zod';
import { rejectUndeclaredBodies } from '../bodies/body-type.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { apiKeyRoutes } from './api-keys.ts';
import { auditRoutes } from './audit.ts';
import { compareRoutes } from './compare.ts';
import { duplicateRoutes } from './duplicates.ts';
import { imageRoutes } from './images.ts';
import { focusRoutes } from './focus.ts';
import { importRoutes } from './imports.ts';
import { jobRoutes } from './jobs.ts';
import { operationRoutes } from './operations.ts';
import { linkRoutes } from './links.ts';
import { pictureRoutes } from './pictures.ts';
import { presetRoutes } from './presets.ts';
import { presignedUploadRoutes } from './presigned-uploads.ts';
import { purgeRoutes } from './purge.ts';
import { referenceRoutes } from './references.ts';
import { reindexingRoutes } from './reindexings.ts';
import { renderingRoutes } from './renderings.ts';
import { similarityRoutes } from './similarity.ts';
import { tenantSettingsRoutes } from './tenant-settings.ts';
import { uploadRoutes } from './uploads.ts';
import { usageRoutes } from './usage.ts';

const routes: readonly RoutePlugin[] = [
  uploadRoutes,
  presignedUploadRoutes,
  imageRoutes,
  pictureRoutes,
  presetRoutes,
  focusRoutes,
  referenceRoutes,
  importRoutes,
  similarityRoutes,
  duplicateRoutes,
  compareRoutes,
  purgeRoutes,
  jobRoutes,
  renderingRoutes,
  reindexingRoutes,
  usageRoutes,
  apiKeyRoutes,
  linkRoutes,
  auditRoutes,
  tenantSettingsRoutes,
  operationRoutes,
];

/** Query schema for routes without query parameters. */
const noQuery = z.strictObject({});

/**
 * The main API, mounted at `/v1`. It rejects undeclared bodies and unknown query parameters, so that a misspelled
 * parameter is not silently ignored. For speed, the rendition routes are exempt from query validation.
 */
export const v1: RoutePlugin = (app, dependencies) => {
  rejectUndeclaredBodies(app);
  app.addHook('onRoute', (route) => {
    if (route.schema?.documentedOnly?.querystring) return;
    route.schema = { querystring: noQuery, ...route.schema };
  });
  for (const register of routes) register(app, dependencies);
};
