// A real decoder child that also reacts to a mark after the picture's last byte. `MARK:crash` makes the child
// crash. `MARK:slow` makes it wait for a second. `MARK:endless` makes it wait for a minute, so that the task must be
// stopped. `MARK:late-crash` and `MARK:late-pause` do not affect the intake: they make the child crash or wait for a second
// when it renders a picture later.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { handlers, serve } from '../../../src/imaging/pool/serve.ts';

serve({
  ...handlers,
  derive: async (request) => {
    const tail = (await readFile(request.path)).subarray(-200).toString('latin1');
    if (tail.includes('MARK:crash')) process.abort();
    if (tail.includes('MARK:slow')) await sleep(1_000);
    if (tail.includes('MARK:endless')) await sleep(60_000);
    return handlers.derive(request);
  },
  render: async (request) => {
    const tail = (await readFile(request.path)).subarray(-200).toString('latin1');
    if (tail.includes('MARK:late-crash')) process.abort();
    if (tail.includes('MARK:late-pause')) await sleep(1_000);
    return handlers.render(request);
  },
});
