import { makeConfirmPurge } from '../../../src/services/purge/confirm-purge.ts';
import { makePurgeDeleted } from '../../../src/services/purge/purge-deleted.ts';
import { makePurgeUnused } from '../../../src/services/purge/purge-unused.ts';
import { makeRemoveImages } from '../../../src/services/purge/remove-images.ts';
import { makeRenditionCache } from '../../../src/services/rendition-cache.ts';
import { makeRetrieveImage } from '../../../src/services/retrieve-image.ts';
import type { Engines } from '../../support/inner/engines.ts';
import { freshPicture } from '../../support/inner/pictures.ts';
import { makeRig } from '../../support/inner/rig.ts';

export const token = 'yes-remove-them';

/** A rig with the purges, and renditions in memory. */
export async function makePurges(
  engines: Engines,
  { confirmToken = token, isExposed = false }: { confirmToken?: string | null; isExposed?: boolean } = {},
) {
  const rig = await makeRig(engines);
  const cache = makeRenditionCache(
    2 ** 20,
    rig.presets.map(({ name }) => name),
  );
  const removeImages = makeRemoveImages({ ...rig, cache });
  const confirmPurge = makeConfirmPurge({ ...rig, confirmToken: confirmToken ?? undefined, isExposed });
  return {
    rig,
    cache,
    retrieve: makeRetrieveImage({ ...rig, cache }),
    purgeUnused: makePurgeUnused({ ...rig, removeImages, confirmPurge }),
    purgeDeleted: makePurgeDeleted({ ...rig, removeImages, confirmPurge }),
    add: async (tenantName = 'shop') => (await rig.upload(await freshPicture(), { tenantName })).image,
  };
}
