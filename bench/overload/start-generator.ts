import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Order } from './generator.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import type { SlowPlan } from './slow-sockets.ts';

/** A process that offers load. It runs one order at a time. */
export interface Generator {
  /** Draws pictures until `count` are available. */
  draw(count: number, seed: number): Promise<void>;
  offer(plan: LoadPlan): Promise<LoadResult>;
  holdSlow(plan: SlowPlan): Promise<{ readonly reopened: number }>;
  stop(): void;
}

/** Starts a generator process. */
export function startGenerator(): Generator {
  const child = fork(fileURLToPath(new URL('generator.ts', import.meta.url)), {
    stdio: 'inherit',
    serialization: 'advanced',
  });
  async function execute(order: Order): Promise<unknown> {
    const answer = once(child, 'message');
    child.send(order);
    const [message] = (await answer) as [{ readonly result?: unknown; readonly error?: string }];
    if (message.error !== undefined) throw new Error(message.error);
    return message.result;
  }
  return {
    draw: async (count, seed) => void (await execute({ kind: 'draw', count, seed })),
    offer: async (plan) => (await execute({ kind: 'load', plan })) as LoadResult,
    holdSlow: async (plan) => (await execute({ kind: 'slow', plan })) as { readonly reopened: number },
    stop: () => child.kill(),
  };
}
