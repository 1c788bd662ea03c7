import { FileMissing } from '../../errors.ts';
import type { Image } from '../../model/image.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Storage } from '../../storage/storage.ts';
import { keepTenant } from '../../tenant-scope.ts';
import type { RenditionCache } from '../rendition-cache.ts';
import type { RetrievedRendition } from '../retrieve-image.ts';
import type { MadeFiles } from './made-files.ts';

interface Dependencies {
  readonly storage: Pick<Storage, 'read' | 'readAll'>;
  readonly cache: Pick<RenditionCache, 'maxFileBytes'>;
  readonly madeFiles: Pick<MadeFiles, 'get'>;
}

/**
 * Reads a rendition: into memory if it is small enough for the cache, otherwise as a stream.
 * @param repair makes the file again if it is missing or truncated, and returns the new rendition. If it throws, so does this
 *   function, or `open` of the result.
 */
export type OpenRendition = (
  image: Pick<Image, 'id' | 'tenantId'>,
  rendition: Rendition,
  repair: () => Promise<Rendition>,
) => Promise<Exclude<RetrievedRendition, { readonly redirect: unknown }>>;

/** @see OpenRendition */
export function makeOpenRendition({ storage, cache, madeFiles }: Dependencies): OpenRendition {
  async function readIntact({ storageKey, bytes, contentHash }: Rendition): Promise<Buffer | undefined> {
    const madeFile = madeFiles.get(contentHash);
    if (madeFile) return madeFile;
    try {
      const body = await storage.readAll(storageKey);
      return body.length === bytes ? body : undefined;
    } catch (error) {
      if (error instanceof FileMissing) return undefined;
      throw error;
    }
  }

  async function openStream({ storageKey }: Rendition, repair: () => Promise<Rendition>) {
    try {
      return await storage.read(storageKey);
    } catch (error) {
      if (!(error instanceof FileMissing)) throw error;
      return storage.read((await repair()).storageKey);
    }
  }

  return async ({ id, tenantId }, rendition, repair) => {
    const { recipe, format } = rendition;
    if (rendition.bytes > cache.maxFileBytes)
      return {
        rendition,
        etag: toEtag(rendition),
        open: keepTenant(() => openStream(rendition, repair)),
      };
    const body = await readIntact(rendition);
    if (body) return { body, recipe, format, etag: toEtag(rendition), imageId: id, tenantId };
    const repaired = await repair();
    const repairedBody = await storage.readAll(repaired.storageKey);
    return { body: repairedBody, recipe, format, etag: toEtag(repaired), imageId: id, tenantId };
  };
}

function toEtag({ contentHash }: Rendition): string {
  return `"${contentHash.slice(0, 32)}"`;
}
