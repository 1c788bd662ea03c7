import type { Surface } from '../../surface.ts';
import { assetRoutes } from './assets.ts';
import { catalogOperationRoutes } from './operations.ts';

/** The catalog dialect: `/upload`, `/retrieve`, `/compare`, `/metrics`, `/purge`, `/healthz`. */
export const catalogDialect: Surface = (app, parts) => {
  assetRoutes(app, parts);
  catalogOperationRoutes(app, parts);
};
