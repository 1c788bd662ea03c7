import type { Engines } from '../../support/inner/engines.ts';
import { uniquePicture } from '../../support/inner/pictures.ts';
import { makeRig } from '../../support/inner/rig.ts';

export const token = 'yes-remove-them';

/** Creates a test rig with a rendition cache and its purge services. */
export async function makePurges(
  engines: Engines,
  { confirmToken = token, isExposed = false }: { confirmToken?: string | null; isExposed?: boolean } = {},
) {
  const rig = await makeRig(engines, {
    confirmToken: confirmToken ?? undefined,
    isExposed,
    readCacheBytes: 2 ** 20,
  });
  const { retrieve, purgeUnused, purgeDeleted } = rig.services;
  return {
    rig,
    retrieve,
    purgeUnused,
    purgeDeleted,
    add: async (tenantName = 'shop') => (await rig.upload(await uniquePicture(), { tenantName })).image,
  };
}
