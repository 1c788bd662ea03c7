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
  readonly productCount: number;
  /** The same seed produces the same files, byte for byte. */
  readonly seed: string;
  readonly onFile?: (filename: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Names of the generated files, without the folder. */
export interface SampleCatalog {
  readonly files: readonly string[];
  readonly exactDuplicates: readonly string[];
  readonly nearDuplicates: readonly string[];
  /** Name of the only file that the server must reject. */
  readonly corrupt: string;
}

/** An additional file derived from a catalog image. */
interface Variant {
  readonly filename: string;
  readonly source: PlannedPicture;
  readonly derive: (jpeg: Buffer) => Buffer | Promise<Buffer>;
}

const corruptFilename = 'broken-upload.jpg';

/** Draws a catalog of product images with realistic flaws: exact copies, re-encoded copies and a corrupt file. */
export async function generateSampleCatalog(options: SampleCatalogOptions): Promise<SampleCatalog> {
  const { directory, productCount, seed, onFile, signal } = options;
  const pictures = planCatalog(productCount, seed);
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
        await save(variant.filename, await variant.derive(jpeg));
      }
    },
  );
  return { ...variants.names, files: files.sort() };
}

/** Selects images from all parts of the catalog to copy, re-encode or truncate. */
function planVariants(pictures: readonly PlannedPicture[]) {
  const mainViews = pictures.filter(({ view }) => view === 'main');
  const selectEveryNth = (step: number, start: number) =>
    mainViews.filter((_, index) => index % step === start);
  const exactCopies = selectEveryNth(12, 0).map(planExactCopy);
  const webExports = selectEveryNth(9, 1).map(planWebExport);
  const corruptFiles = mainViews.slice(0, 1).map(planTruncatedCopy);
  const names = {
    exactDuplicates: exactCopies.map(({ filename }) => filename),
    nearDuplicates: webExports.map(({ filename }) => filename),
    corrupt: corruptFilename,
  };
  return { all: [...exactCopies, ...webExports, ...corruptFiles], names };
}

function planExactCopy(source: PlannedPicture): Variant {
  return { filename: `copy-of-${source.filename}`, source, derive: (jpeg) => jpeg };
}

function planWebExport(source: PlannedPicture): Variant {
  return { filename: source.filename.replace(/\.jpg$/, '_web.jpg'), source, derive: reencode };
}

/** Plans a truncated file like the one that an interrupted upload would leave behind. */
function planTruncatedCopy(source: PlannedPicture): Variant {
  return {
    filename: corruptFilename,
    source,
    derive: (jpeg) => jpeg.subarray(0, Math.floor(jpeg.length / 2)),
  };
}
