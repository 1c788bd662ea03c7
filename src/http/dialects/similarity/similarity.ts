import type { RoutePlugin } from '../../route-plugin.ts';
import { similarityHealthRoutes } from './health.ts';
import { similarityImageRoutes } from './images.ts';
import { infoRoutes } from './info.ts';

/** Routes for clients of an older similarity service: `/api/v1/images`, `/api/v1/health`, `/info`. */
export const similarityDialect: RoutePlugin = (app, parts) => {
  similarityImageRoutes(app, parts);
  similarityHealthRoutes(app, parts);
  infoRoutes(app, parts);
};
