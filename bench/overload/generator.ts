import { type LoadPlan, offerLoad } from './load.ts';
import { holdSlowSockets, type SlowPlan } from './slow-sockets.ts';
import { drawSmallPictures, makeRandom } from './small-pictures.ts';

/** An order to a generator process. */
export type Order =
  | { readonly kind: 'draw'; readonly count: number; readonly seed: number }
  | { readonly kind: 'load'; readonly plan: LoadPlan }
  | { readonly kind: 'slow'; readonly plan: SlowPlan };

/** Pictures that have not been accepted yet. */
const pictures: Buffer[] = [];

/** Runs the orders of the benchmark in its own process, so that its CPU time can be told from that of the server. */
process.on('message', (order: Order) => {
  void run(order).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.once('disconnect', () => process.exit());

async function run(order: Order): Promise<unknown> {
  if (order.kind === 'slow') return holdSlowSockets(order.plan);
  if (order.kind === 'load') return offerLoad(order.plan, pictures);
  const missing = order.count - pictures.length;
  if (missing > 0) pictures.push(...(await drawSmallPictures(missing, makeRandom(order.seed))));
  return pictures.length;
}
