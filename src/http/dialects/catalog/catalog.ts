import type { RoutePlugin } from '../../route-plugin.ts';
import { assetRoutes } from './assets.ts';
import { catalogOperationRoutes } from './operations.ts';

/** Routes for clients of an older catalog service: `/upload`, `/retrieve`, `/compare`, `/metrics/tenant`, `/purge`. */
export const catalogDialect: RoutePlugin = (app, dependencies) => {
  assetRoutes(app, dependencies);
  catalogOperationRoutes(app, dependencies);
};
