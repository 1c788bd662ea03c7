// A decoder child that fails in the way which a mark behind the picture asks for, and else does the real work.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { handlers, serve } from '../../../src/imaging/pool/serve.ts';

serve({
  ...handlers,
  derive: async (request) => {
    const end = (await readFile(request.path)).subarray(-200).toString('latin1');
    if (end.includes('MARK:crash')) process.abort();
    if (end.includes('MARK:slow')) await sleep(1_000);
    return handlers.derive(request);
  },
});
