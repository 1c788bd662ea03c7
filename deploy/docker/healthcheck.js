// Exits with 0 if this container is healthy. Checks the API on PORT and the worker on WORKER_PORT, whichever is
// listening.
import process from 'node:process';

/** Must be below the five seconds that Docker allows. */
const timeoutMs = 4_000;

/** Prints a line, which `docker inspect` shows. */
function print(text) {
  process.stdout.write(`${text}\n`);
}

/** Returns whether the server on `port` is healthy, or `undefined` if nothing is listening. */
async function isHealthy(port) {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) print(await response.text());
    return response.ok;
  } catch (error) {
    if (error.cause?.code === 'ECONNREFUSED') return undefined;
    print(error.cause ?? error);
    return false;
  }
}

const { PORT = '8000', WORKER_PORT } = process.env;
const ports = WORKER_PORT ? [PORT, WORKER_PORT] : [PORT];
const results = await Promise.all(ports.map(isHealthy));
const knownResults = results.filter((result) => result !== undefined);
if (knownResults.length === 0) print(`Nothing is listening on ${ports.join(' or ')}.`);
process.exitCode = knownResults.length > 0 && knownResults.every(Boolean) ? 0 : 1;
