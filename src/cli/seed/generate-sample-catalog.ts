import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { runParallel } from '../import/run-parallel.ts';
import { type PlannedPicture, planCatalog } from './catalog-plan.ts';
import { drawPicture, reencode } from './draw-picture.ts';

/** Options of the generator. */
export interface SampleCatalogOptions {
  /** Folder for the files; created if missing. */
  readonly directory: string;
  readonly products: number;
  /** The same seed produces the same files, byte for byte. */
  readonly seed: string;
  readonly onFile?: (filename: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The generated files. Names are relative to the folder. */
export interface SampleCatalog {
  readonly files: readonly string[];
  readonly exactDuplicates: readonly string[];
  readonly nearDuplicates: readonly string[];
  /** The only file that a server must refuse. */
  readonly broken: string;
}

/** An additional file derived from a picture. */
interface Variant {
  readonly filename: string;
  readonly source: PlannedPicture;
  readonly make: (jpeg: Buffer) => Buffer | Promise<Buffer>;
}

const brokenFilename = 'broken-upload.jpg';

/** Draws a catalog of product pictures with realistic flaws: exact copies, re-exports and one broken file. */
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

/** Picks the pictures to copy, re-export or break, spread over the catalog. */
function planVariants(pictures: readonly PlannedPicture[]) {
  const mainViews = pictures.filter(({ view }) => view === 'main');
  const sources = (from: number, step: number) => mainViews.filter((_, index) => index % step === from);
  const exact = sources(0, 12).map(exactCopy);
  const near = sources(1, 9).map(webExport);
  const broken = mainViews.slice(0, 1).map(truncatedCopy);
  const names = {
    exactDuplicates: exact.map(({ filename }) => filename),
    nearDuplicates: near.map(({ filename }) => filename),
    broken: brokenFilename,
  };
  return { all: [...exact, ...near, ...broken], names };
}

function exactCopy(source: PlannedPicture): Variant {
  return { filename: `copy-of-${source.filename}`, source, make: (jpeg) => jpeg };
}

function webExport(source: PlannedPicture): Variant {
  return { filename: source.filename.replace(/\.jpg$/, '_web.jpg'), source, make: reencode };
}

/** A file as an interrupted upload leaves it. */
function truncatedCopy(source: PlannedPicture): Variant {
  return {
    filename: brokenFilename,
    source,
    make: (jpeg) => jpeg.subarray(0, Math.floor(jpeg.length / 2)),
  };
}
