// Exits with 0 if this container is healthy: its API on PORT and its worker on WORKER_PORT, whichever of them listens.
import process from 'node:process';

/** Less than the five seconds that Docker allows. */
const timeoutMs = 4_000;

/** Prints a line for `docker inspect`. */
function print(text) {
  process.stdout.write(`${text}\n`);
}

/** Returns `undefined` if the connection is refused. */
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
const found = results.filter((result) => result !== undefined);
if (found.length === 0) print(`Nothing listens on ${ports.join(' or ')}.`);
process.exitCode = found.length > 0 && found.every(Boolean) ? 0 : 1;
