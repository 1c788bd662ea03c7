import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runParallel } from '../import/run-parallel.ts';
import { type PlannedPicture, planCatalog } from './catalog-plan.ts';
import { drawPicture, reencode } from './draw-picture.ts';

/** What to generate, and where. */
export interface SampleCatalogOptions {
  /** Folder for the files; it is made if it is not there. */
  readonly directory: string;
  readonly products: number;
  /** The same seed makes the same files, byte for byte. */
  readonly seed: string;
  readonly onFile?: (filename: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What was generated. Names are relative to the folder. */
export interface SampleCatalog {
  readonly files: readonly string[];
  readonly exactDuplicates: readonly string[];
  readonly nearDuplicates: readonly string[];
  /** The one file that a server has to refuse. */
  readonly broken: string;
}

/** A further file made from the bytes of a picture. */
interface Variant {
  readonly filename: string;
  readonly source: PlannedPicture;
  readonly make: (jpeg: Buffer) => Buffer | Promise<Buffer>;
}

const brokenFilename = 'broken-upload.jpg';

/** Draws a catalog of product pictures, with the flaws of a real one: copies, re-exports and one broken file. */
export async function generateSampleCatalog(options: SampleCatalogOptions): Promise<SampleCatalog> {
  const { directory, products, seed, onFile, signal } = options;
  const pictures = planCatalog(products, seed);
  const variants = planVariants(pictures);
  const files: string[] = [];

  async function save(filename: string, bytes: Buffer): Promise<void> {
    await writeFile(join(directory, filename), bytes);
    files.push(filename);
    onFile?.(filename);
  }

  await mkdir(directory, { recursive: true });
  await runParallel(
    pictures,
    availableParallelism(),
    () => signal?.aborted === true,
    async (picture) => {
      const jpeg = await drawPicture(picture);
      await save(picture.filename, jpeg);
      for (const variant of variants.all.filter(({ source }) => source === picture)) {
        await save(variant.filename, await variant.make(jpeg));
      }
    },
  );
  return { ...variants.names, files: files.sort() };
}

/** Chooses pictures for the flaws, spread over the catalog. */
function planVariants(pictures: readonly PlannedPicture[]) {
  const mainViews = pictures.filter(({ view }) => view === 'main');
  const sources = (from: number, step: number) => mainViews.filter((_, index) => index % step === from);
  const exact = sources(0, 12).map(copyOf);
  const near = sources(1, 9).map(webExportOf);
  const broken = mainViews.slice(0, 1).map(cutInTheMiddle);
  const names = {
    exactDuplicates: exact.map(({ filename }) => filename),
    nearDuplicates: near.map(({ filename }) => filename),
    broken: brokenFilename,
  };
  return { all: [...exact, ...near, ...broken], names };
}

function copyOf(source: PlannedPicture): Variant {
  return { filename: `copy-of-${source.filename}`, source, make: (jpeg) => jpeg };
}

function webExportOf(source: PlannedPicture): Variant {
  return { filename: source.filename.replace(/\.jpg$/, '_web.jpg'), source, make: reencode };
}

/** As an upload that was interrupted leaves it behind. */
function cutInTheMiddle(source: PlannedPicture): Variant {
  return {
    filename: brokenFilename,
    source,
    make: (jpeg) => jpeg.subarray(0, Math.floor(jpeg.length / 2)),
  };
}
