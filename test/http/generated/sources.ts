import { errorTable } from '../../../src/errors.ts';
import type { Operation, Parameter } from './operations.ts';
import type { Sources } from './requests.ts';
import { confirmToken, picturePaths, type ServerData } from './server-data.ts';

/** Returns the ids and files that requests need. */
export function makeSources(
  serverData: ServerData,
  pictures: readonly Buffer[],
  truncatedPicture: Buffer,
): Sources {
  const { origin, tenants, referenced, cursor } = serverData;
  // The initial data uses the first paths.
  const urls = picturePaths.slice(-50).map((path) => origin + path);
  let callCount = 0;
  const next = <Item>(choices: readonly Item[]): Item => {
    callCount += 1;
    return choices[callCount % choices.length] as Item;
  };
  return {
    knownValues: {
      tenant: tenants,
      url: urls,
      urls,
      cursor: [cursor],
      confirm_token: [confirmToken],
      image: referenced.flatMap(({ id, uuid }) => [id, uuid]),
      code: Object.keys(errorTable),
    },
    urls,
    forms: { pictures, truncatedPicture, tenants },
    take: (operation, parameter) =>
      encodeURIComponent(String(valueFor(serverData, operation, parameter, next))),
  };
}

type Next = <Item>(choices: readonly Item[]) => Item;

function valueFor(
  serverData: ServerData,
  { method, path }: Operation,
  { name }: Parameter,
  next: Next,
): number | string {
  const { referenced, tenants, imports, failedJobs, deletable, deletableInDefault } = serverData;
  if (name === 'preset') return next(['thumb', 'card', 'zoom']);
  if (name.startsWith('tenant')) return next(tenants);
  if (name === 'ref') return next(['unknown reference', 'product-42']);
  if (path.startsWith('/v1/imports/')) return next(imports);
  // Each job can be retried only once.
  if (path.endsWith('/retry')) return failedJobs.pop() ?? 'none left';
  if (path.startsWith('/v1/jobs/')) return next(failedJobs);
  if (method === 'DELETE' && path === '/v1/images/{id}') return deletable.pop()?.id ?? 'none left';
  if (method === 'DELETE' && name === 'image_id') return deletableInDefault.pop()?.uuid ?? 'none left';
  if (name === 'image_id') return next(referenced.filter(({ tenant }) => tenant === 'default')).uuid;
  const { id, uuid } = next(referenced);
  return next([id, uuid, uuid.toUpperCase()]);
}
