import { type Colour, colours } from './colours.ts';
import type { ProductKind, View } from './drawing.ts';
import { bottle } from './products/bottle.ts';
import { lamp } from './products/lamp.ts';
import { mug } from './products/mug.ts';
import { shirt } from './products/shirt.ts';
import { shoe } from './products/shoe.ts';
import { watch } from './products/watch.ts';
import { makeRandom, type Random } from './random.ts';

/** An image of the sample catalog that has not been drawn yet. */
export interface PlannedPicture {
  readonly filename: string;
  readonly kind: ProductKind;
  readonly colour: Colour;
  readonly view: View;
  /** Random seed that determines the product's shape. All images of a product have the same seed. */
  readonly shapeSeed: string;
  /** Length of the longer side in pixels. */
  readonly longSide: number;
}

const kinds: readonly [ProductKind, ...ProductKind[]] = [shoe, mug, shirt, lamp, bottle, watch];

/** Plans a catalog. Each product has two or three colours, and each colour has two or three views. */
export function planCatalog(productCount: number, seed: string): PlannedPicture[] {
  return Array.from({ length: productCount }, (_, index) => planProduct(index, seed)).flat();
}

function planProduct(index: number, seed: string): PlannedPicture[] {
  const kind = kinds[index % kinds.length] ?? kinds[0];
  const sku = `${kind.prefix}${1001 + index}`;
  const random = makeRandom(`${seed}/${sku}`);
  const longSide = random.pick([1200, 1300, 1400, 1500, 1600]);
  const productColours = chooseColours(random, 2 + (index % 2));
  return productColours.flatMap((colour, position) => {
    // As in a real shop, only one colour has a close-up (the `detail` view).
    const views: View[] = position === 0 ? ['main', 'back', 'detail'] : ['main', 'back'];
    return views.map((view) => ({
      filename: `${sku}-${colour.name}_${view}.jpg`,
      kind,
      colour,
      view,
      shapeSeed: `${seed}/${sku}/form`,
      longSide,
    }));
  });
}

function chooseColours(random: Random, count: number): Colour[] {
  const chosenColours = new Set<Colour>();
  while (chosenColours.size < count) chosenColours.add(random.pick(colours));
  return [...chosenColours];
}
