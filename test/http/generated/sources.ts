import { errorTable } from '../../../src/errors.ts';
import type { Operation, Parameter } from './operations.ts';
import type { Sources } from './requests.ts';
import { configuredTenant, confirmToken, picturePaths, type ServerData } from './server-data.ts';

/** Returns the ids and files that requests need. */
export function makeSources(
  serverData: ServerData,
  pictures: readonly Buffer[],
  truncatedPicture: Buffer,
): Sources {
  const { origin, tenants, referencedImages, cursor, group } = serverData;
  // The last paths are used here, because the initial data was imported from the first paths.
  const urls = picturePaths.slice(-50).map((path) => origin + path);
  let choiceCount = 0;
  const chooseNext = <Item>(choices: readonly Item[]): Item => {
    choiceCount += 1;
    return choices[choiceCount % choices.length] as Item;
  };
  return {
    knownValues: {
      tenant: tenants,
      url: urls,
      urls,
      cursor: [cursor],
      confirm_token: [confirmToken],
      image: referencedImages.flatMap(({ id, uuid }) => [id, uuid]),
      code: Object.keys(errorTable),
      preset: ['thumb', 'card', 'zoom'],
      presets: ['thumb', 'card', 'zoom'],
      // What these presets offer.
      format: ['jpeg', 'webp', 'avif'],
      density: [1],
      keep: [group.kept.id, group.kept.uuid],
      discard: [group.discarded.id, group.discarded.uuid],
    },
    urls,
    forms: { pictures, truncatedPicture, tenants },
    takeValue: (operation, parameter) =>
      encodeURIComponent(String(chooseValue(serverData, operation, parameter, chooseNext))),
  };
}

type ChooseNext = <Item>(choices: readonly Item[]) => Item;

function chooseValue(
  serverData: ServerData,
  { method, path }: Operation,
  { name }: Parameter,
  chooseNext: ChooseNext,
): number | string {
  const { referencedImages, tenants, imports, failedJobs, keyIds, deletableImages, deletableDefaultImages } =
    serverData;
  if (name === 'preset') return chooseNext(['thumb', 'card', 'zoom']);
  if (name === 'file') return chooseNext(['thumb.jpg', 'card', 'card.webp', 'zoom@1x.jpeg']);
  // Quotas would make other requests fail.
  if (path.startsWith('/v1/tenants/')) return configuredTenant;
  if (name.startsWith('tenant')) return chooseNext(tenants);
  if (name === 'ref') return chooseNext(['unknown reference', 'product-42']);
  if (name === 'group') return serverData.group.id;
  // A pair consists of two images of one tenant.
  if (path.endsWith('/duplicates/{other}')) {
    const [image, ...others] = referencedImages;
    const other = others.find(({ tenant }) => tenant === image?.tenant);
    return (name === 'id' ? image : other)?.uuid ?? '';
  }
  if (path.startsWith('/v1/imports/')) return chooseNext(imports);
  if (path.startsWith('/v1/renderings/')) return chooseNext(serverData.renderings);
  // A key can be replaced or revoked only once.
  if (path === '/v1/keys/{id}' && method === 'GET') return keyIds[0] ?? 'none left';
  if (path.startsWith('/v1/keys/')) return keyIds.pop() ?? 'none left';
  // Each job can be retried only once.
  if (path.endsWith('/retry')) return failedJobs.pop() ?? 'none left';
  if (path.startsWith('/v1/jobs/')) return chooseNext(failedJobs);
  if (method === 'DELETE' && path === '/v1/images/{id}') return deletableImages.pop()?.id ?? 'none left';
  if (method === 'DELETE' && name === 'image_id') return deletableDefaultImages.pop()?.uuid ?? 'none left';
  if (name === 'image_id')
    return chooseNext(referencedImages.filter(({ tenant }) => tenant === 'default')).uuid;
  const { id, uuid } = chooseNext(referencedImages);
  if (name === 'uuid') return chooseNext([uuid, uuid.toUpperCase()]);
  return chooseNext([id, uuid, uuid.toUpperCase()]);
}
