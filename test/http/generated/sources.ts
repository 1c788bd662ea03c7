import { errorTable } from '../../../src/errors.ts';
import type { Operation, Parameter } from './operations.ts';
import type { Sources } from './requests.ts';
import { confirmToken, picturePaths, type World } from './world.ts';

/** Returns the ids and files that requests need. */
export function makeSources(world: World, pictures: readonly Buffer[], broken: Buffer): Sources {
  const { origin, tenants, keepers, cursor } = world;
  // Names of the initial data are already in use.
  const urls = picturePaths.slice(-50).map((path) => origin + path);
  let turn = 0;
  const next = <Item>(from: readonly Item[]): Item => {
    turn += 1;
    return from[turn % from.length] as Item;
  };
  return {
    known: {
      tenant: tenants,
      url: urls,
      urls,
      cursor: [cursor],
      confirm_token: [confirmToken],
      image: keepers.flatMap(({ id, uuid }) => [id, uuid]),
      code: Object.keys(errorTable),
    },
    urls,
    forms: { pictures, broken, tenants },
    take: (operation, parameter) => encodeURIComponent(String(thingFor(world, operation, parameter, next))),
  };
}

type Next = <Item>(from: readonly Item[]) => Item;

function thingFor(
  world: World,
  { method, path }: Operation,
  { name }: Parameter,
  next: Next,
): number | string {
  const { keepers, tenants, imports, failedJobs, spare, spareOfDefault } = world;
  if (name === 'preset') return next(['thumb', 'card', 'zoom']);
  if (name.startsWith('tenant')) return next(tenants);
  if (name === 'ref') return next(['keeper of none', 'product-42']);
  if (path.startsWith('/v1/imports/')) return next(imports);
  // Each can be retried once.
  if (path.endsWith('/retry')) return failedJobs.pop() ?? 'none left';
  if (path.startsWith('/v1/jobs/')) return next(failedJobs);
  if (method === 'DELETE' && path === '/v1/images/{id}') return spare.pop()?.id ?? 'none left';
  if (method === 'DELETE' && name === 'image_id') return spareOfDefault.pop()?.uuid ?? 'none left';
  if (name === 'image_id') return next(keepers.filter(({ tenant }) => tenant === 'default')).uuid;
  const { id, uuid } = next(keepers);
  return next([id, uuid, uuid.toUpperCase()]);
}
