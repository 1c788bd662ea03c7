import { availableParallelism } from 'node:os';
import { runParallel } from '../src/cli/import/run-parallel.ts';
import { planCatalog } from '../src/cli/seed/catalog-plan.ts';
import { drawPicture } from '../src/cli/seed/draw-picture.ts';

/**
 * Draws `count` different product pictures as JPEG files whose longer side has `longSide` pixels. Every call returns
 * the same pictures.
 */
export async function drawPictures(count: number, longSide = 1200): Promise<Buffer[]> {
  // Each product has at least five pictures.
  const plannedPictures = planCatalog(Math.ceil(count / 5), 'bench').slice(0, count);
  const jpegs: Buffer[] = [];
  await runParallel(
    [...plannedPictures.entries()],
    availableParallelism(),
    () => false,
    async ([index, picture]) => {
      jpegs[index] = await drawPicture({ ...picture, longSide });
    },
  );
  return jpegs;
}
