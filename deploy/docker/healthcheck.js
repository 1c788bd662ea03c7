// Ends with 0 when this container is healthy: its API on PORT, or its worker on WORKER_PORT, whichever listens.
import process from 'node:process';

/** Docker gives the check five seconds. */
const patienceMs = 4_000;

/** `docker inspect` shows it. */
function say(words) {
  process.stdout.write(`${words}\n`);
}

/** Undefined: nobody listens. */
async function isHealthy(port) {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, {
      signal: AbortSignal.timeout(patienceMs),
    });
    if (!answer.ok) say(await answer.text());
    return answer.ok;
  } catch (error) {
    if (error.cause?.code === 'ECONNREFUSED') return undefined;
    say(error.cause ?? error);
    return false;
  }
}

const { PORT = '8000', WORKER_PORT } = process.env;
const ports = WORKER_PORT ? [PORT, WORKER_PORT] : [PORT];
const answers = await Promise.all(ports.map(isHealthy));
const found = answers.filter((answer) => answer !== undefined);
if (found.length === 0) say(`Nothing listens on ${ports.join(' or ')}.`);
process.exitCode = found.length > 0 && found.every(Boolean) ? 0 : 1;
