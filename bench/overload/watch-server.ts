import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { readMemoryUsage } from '../process-usage.ts';

/** What is observed of a server while load is offered. */
export interface Observation {
  /** Response times of the health check, in milliseconds. */
  readonly healthTimes: readonly number[];
  /** Health checks that failed. */
  readonly healthFailures: number;
  /** Largest resident memory of the server and its child processes, in MiB. */
  readonly maxMemoryMb: number;
}

const healthIntervalMs = 50;
const memoryIntervalMs = 500;

/** Observes a server until `stop` is called. Health checks use a connection of their own. */
export function watchServer(url: string, pid: number): { stop(): Promise<Observation> } {
  const agent = new Agent({ keepAlive: true });
  const healthTimes: number[] = [];
  const pending = new Set<Promise<void>>();
  let healthFailures = 0;
  let maxMemoryMb = 0;

  async function checkHealth(scheduledAt: number): Promise<void> {
    const status = await getStatus(`${url}/healthz`, agent).catch(() => 0);
    if (status === 200) healthTimes.push(performance.now() - scheduledAt);
    else healthFailures += 1;
  }

  // If this process is late, the delay counts as part of the response time. The times of the checks do not depend on those of
  // the timer, because the intervals of a timer are slightly too long, which would add up to a second in a long phase.
  let scheduledAt = performance.now() + healthIntervalMs;
  const healthTimer = setInterval(() => {
    for (; scheduledAt <= performance.now(); scheduledAt += healthIntervalMs) {
      const check = checkHealth(scheduledAt).finally(() => pending.delete(check));
      pending.add(check);
    }
  }, 5);
  const memoryTimer = setInterval(() => {
    const { server, children } = readMemoryUsage(pid);
    maxMemoryMb = Math.max(maxMemoryMb, server + children);
  }, memoryIntervalMs);
  return {
    async stop() {
      clearInterval(healthTimer);
      clearInterval(memoryTimer);
      await Promise.all(pending);
      agent.destroy();
      return { healthTimes, healthFailures, maxMemoryMb };
    },
  };
}

function getStatus(url: string, agent: Agent): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  request(url, { agent }, (response) => {
    response.resume().once('end', () => resolve(response.statusCode ?? 0));
  })
    .once('error', reject)
    .end();
  return promise;
}
