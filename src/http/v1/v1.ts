import type { Surface } from '../surface.ts';
import { compareRoutes } from './compare.ts';
import { imageRoutes } from './images.ts';
import { importRoutes } from './imports.ts';
import { jobRoutes } from './jobs.ts';
import { operationRoutes } from './operations.ts';
import { pictureRoutes } from './pictures.ts';
import { purgeRoutes } from './purge.ts';
import { referenceRoutes } from './references.ts';
import { similarityRoutes } from './similarity.ts';
import { uploadRoutes } from './uploads.ts';
import { usageRoutes } from './usage.ts';

const routes: readonly Surface[] = [
  uploadRoutes,
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

/** The product's own surface, without its prefix `/v1`. */
export const v1: Surface = (app, parts) => {
  for (const add of routes) add(app, parts);
};
