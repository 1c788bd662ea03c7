import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type App, makeApp } from '../app.ts';
import { ConfigError, type Environment } from '../config.ts';
import { errorTable } from '../errors.ts';
import { loadServerlessConfig } from './settings.ts';
import { makeLogger } from '../telemetry/logger.ts';

/** A handler that the host calls for each request. */
type ServerlessHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** One app for all requests of a function instance. */
interface Serverless {
  /** Handles all routes. Queued work is processed after the response, within the same invocation. */
  readonly handle: ServerlessHandler;
  /** Processes due jobs and runs due sweeps. For a cron trigger that sends `CRON_SECRET`. */
  readonly cron: ServerlessHandler;
  close(): Promise<void>;
}

/** Options of a function. */
export interface ServerlessOptions {
  readonly environment: Environment;
  /** Keeps the invocation alive until `work` has finished, after the response. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** How long work may continue after a response; must be below the host's time limit. */
  readonly workMs?: number;
  /** The same for a cron invocation. */
  readonly cronMs?: number;
}

/** Minimum interval of polls for due jobs after requests that queue nothing. */
const pollMs = 10_000;

/** Methods that cannot have queued work. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Creates the handlers for hosts without a long-running process. The first request creates the app. */
export function makeServerless(options: ServerlessOptions): Serverless {
  const { environment, waitUntil, workMs = 40_000, cronMs = 50_000 } = options;
  let starting: Promise<App> | undefined;
  let polledAt = Number.NEGATIVE_INFINITY;

  /** Concurrent requests share one start. If it fails, the next request retries it. */
  function start(): Promise<App> {
    starting ??= open(environment).catch((error: unknown) => {
      starting = undefined;
      throw error;
    });
    return starting;
  }

  async function withApp(response: ServerResponse, work: (app: App) => Promise<void>): Promise<void> {
    let app: App;
    try {
      app = await start();
    } catch (error) {
      sendProblem(response, 503, describeStartFailure(error));
      return;
    }
    await work(app);
  }

  /** There is no worker: each invocation processes due jobs, starting with its own. */
  async function workAfter(app: App, milliseconds: number): Promise<void> {
    if (performance.now() - polledAt > pollMs) {
      polledAt = performance.now();
      await app.sweep('frequent');
    }
    await app.workFor(milliseconds);
  }

  return {
    handle: (request, response) =>
      withApp(response, async (app) => {
        await app.handle(request, response);
        const mayHaveQueued = !safeMethods.has(request.method ?? '');
        if (mayHaveQueued || performance.now() - polledAt > pollMs) waitUntil(workAfter(app, workMs));
      }),
    async cron(request, response) {
      const secret = environment['CRON_SECRET']?.trim();
      if (!secret) {
        return sendProblem(response, 503, 'CRON_SECRET is not set, so cron requests cannot be authorised.');
      }
      if (!isEqual(request.headers.authorization ?? '', `Bearer ${secret}`)) {
        return sendProblem(
          response,
          401,
          'This endpoint is for the cron trigger, which must send CRON_SECRET.',
        );
      }
      await withApp(response, async (app) => {
        await app.sweep('frequent');
        await app.workFor(cronMs);
        await app.sweep('all');
        response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(JSON.stringify({ done: true }));
      });
    },
    async close() {
      await (await starting?.catch(() => undefined))?.close();
    },
  };
}

async function open(environment: Environment): Promise<App> {
  try {
    const config = loadServerlessConfig(environment);
    const logger = await makeLogger(config.log);
    // The host owns the process, so it cannot be re-executed without secrets, as `vitrine serve` is.
    logger.info(
      {},
      'The secrets of this function remain in its environment, which decoder processes can read.',
    );
    // The host replaces a function that has exited.
    return await makeApp(config, logger, () => process.exit(1));
  } catch (error) {
    const logger = await makeLogger({ level: 'info', format: 'json' });
    logger.error(error instanceof ConfigError ? {} : { err: error }, describeStartFailure(error));
    throw error;
  }
}

/** Compares in constant time. */
function isEqual(given: string, expected: string): boolean {
  const [left, right] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** Sends an error response in the standard format, for requests that do not reach the app. */
function sendProblem(response: ServerResponse, status: 401 | 503, detail: string): void {
  const problem =
    status === 503
      ? { type: 'urn:vitrine:error:unavailable', title: errorTable.unavailable.title, code: 'unavailable' }
      : { type: 'about:blank', title: 'Unauthorized' };
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(JSON.stringify({ ...problem, status, detail }));
}

/** Describes a failed start for clients. Only configuration problems are disclosed; the log has the rest. */
function describeStartFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message.replaceAll(/\s*\n\s*/g, ' ');
  return 'Vitrine could not start; the log has the details.';
}
