import { z } from 'zod';
import { version } from '../version.ts';
import { answers, json } from './openapi/responses.ts';
import { documentPath } from './api-pages/pages.ts';
import type { Surface } from './surface.ts';

const doorSchema = z.object({
  name: z.string(),
  version: z.string(),
  docs: z.string().describe('To try calls.'),
  reference: z.string().describe('To read.'),
  openapi: z.string().describe('For programs.'),
  api: z.string(),
  health: z.string(),
});

/** `/`: where to go on. */
export const frontDoor: Surface = (app) => {
  const schema = {
    tags: ['Health'],
    summary: 'Name, version and where to go on',
    response: answers({ 200: json(doorSchema, 'Addresses.') }),
  };
  const door: z.input<typeof doorSchema> = {
    name: 'Vitrine',
    version,
    docs: '/docs',
    reference: '/redoc',
    openapi: documentPath,
    api: '/v1/images',
    health: '/healthz',
  };
  app.get('/', { schema }, () => door);
};
