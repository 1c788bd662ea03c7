import type { RoutePlugin } from '../../route-plugin.ts';
import { similarityHealthRoutes } from './health.ts';
import { similarityImageRoutes } from './images.ts';
import { infoRoutes } from './info.ts';

/** Routes for clients of an older similarity service: `/api/v1/images`, `/api/v1/health`, `/info`. */
export const similarityDialect: RoutePlugin = (app, dependencies) => {
  similarityImageRoutes(app, dependencies);
  similarityHealthRoutes(app, dependencies);
  infoRoutes(app, dependencies);
};
