import type { ServerResponse } from 'node:http';

/** Loads of renditions that several requests wait for together. */
export interface SharedLoads {
  /**
   * Joins the load with this key, or starts it. It is aborted once all clients that wait for it have disconnected.
   * @param key identifies the result
   */
  join<T>(key: string, response: ServerResponse, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Load {
  readonly result: Promise<unknown>;
  readonly controller: AbortController;
  waiting: number;
}

/** @see SharedLoads */
export function makeSharedLoads(): SharedLoads {
  const loads = new Map<string, Load>();

  function begin(key: string, start: (signal: AbortSignal) => Promise<unknown>): Load {
    const controller = new AbortController();
    const load: Load = { result: start(controller.signal), controller, waiting: 0 };
    loads.set(key, load);
    const forget = () => {
      if (loads.get(key) === load) loads.delete(key);
    };
    load.result.then(forget, forget);
    return load;
  }

  return {
    async join<T>(key: string, response: ServerResponse, start: (signal: AbortSignal) => Promise<T>) {
      const load = loads.get(key) ?? begin(key, start);
      load.waiting += 1;
      const leave = () => {
        load.waiting -= 1;
        if (load.waiting > 0) return;
        // A client that comes now must not share the fate of those that have gone.
        if (loads.get(key) === load) loads.delete(key);
        load.controller.abort();
      };
      response.once('close', leave);
      try {
        return (await load.result) as T;
      } finally {
        response.off('close', leave);
      }
    },
  };
}
