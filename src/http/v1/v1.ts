import { z } from 'zod';
import type { Surface } from '../surface.ts';
import { compareRoutes } from './compare.ts';
import { imageRoutes } from './images.ts';
import { importRoutes } from './imports.ts';
import { jobRoutes } from './jobs.ts';
import { operationRoutes } from './operations.ts';
import { pictureRoutes } from './pictures.ts';
import { presignedUploadRoutes } from './presigned-uploads.ts';
import { purgeRoutes } from './purge.ts';
import { referenceRoutes } from './references.ts';
import { similarityRoutes } from './similarity.ts';
import { uploadRoutes } from './uploads.ts';
import { usageRoutes } from './usage.ts';

const routes: readonly Surface[] = [
  uploadRoutes,
  presignedUploadRoutes,
  imageRoutes,
  pictureRoutes,
  referenceRoutes,
  importRoutes,
  similarityRoutes,
  compareRoutes,
  purgeRoutes,
  jobRoutes,
  usageRoutes,
  operationRoutes,
];

/** What an address takes that names no keys. */
const noQuery = z.strictObject({});

/**
 * The product's own surface, without its prefix `/v1`. A key that nobody knows is refused everywhere, so that a misspelled
 * one is not taken for its default; only renditions, read far more often than all else, look at theirs by themselves.
 */
export const v1: Surface = (app, parts) => {
  app.addHook('onRoute', (route) => {
    if (route.schema?.documented?.querystring) return;
    route.schema = { querystring: noQuery, ...route.schema };
  });
  for (const add of routes) add(app, parts);
};
