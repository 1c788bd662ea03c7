import type { TestResources } from '../../support/inner/test-resources.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { makeRig } from '../../support/inner/rig.ts';

export const token = 'yes-remove-them';

/** Creates a test rig with a rendition cache, and returns the rig with its purge services. */
export async function makePurgeRig(
  resources: TestResources,
  { confirmToken = token, isExposed = false }: { confirmToken?: string | null; isExposed?: boolean } = {},
) {
  const rig = await makeRig(resources, {
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
    add: async (tenantName = 'shop') => (await rig.upload(await makeUniquePicture(), { tenantName })).image,
  };
}
