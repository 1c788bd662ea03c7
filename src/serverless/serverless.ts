import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type App, makeApp } from '../app.ts';
import type { Environment } from '../config.ts';
import { ConfigError, errorTable } from '../errors.ts';
import { loadServerlessConfig } from './settings.ts';
import { makeLogger } from '../telemetry/logger.ts';

/** A handler that the host calls for each request. */
type ServerlessHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** The handlers of a serverless function instance. They share one app. */
interface ServerlessHandlers {
  /** Handles a request for any route. Queued jobs are processed after the response, within the same invocation. */
  readonly handle: ServerlessHandler;
  /** Processes due jobs and runs due sweeps, for a cron trigger that sends `CRON_SECRET`. */
  readonly cron: ServerlessHandler;
  close(): Promise<void>;
}

/** Options of the handlers. */
export interface ServerlessOptions {
  readonly environment: Environment;
  /** Keeps the invocation alive after the response, until `work` has finished. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Ends the process after a failure that only a restart can repair. The host replaces a function that has exited. */
  readonly exitOnFailure: () => void;
  /** Maximum time to process jobs after a response. Must be below the host's time limit. */
  readonly workMs?: number;
  /** Maximum time to process jobs in a cron invocation. */
  readonly cronMs?: number;
}

/** Minimum interval between two polls for due jobs, unless a request may have queued a job. */
const minPollIntervalMs = 10_000;

/** Checked for each request until there is a key, because nobody could use the function without one. */
const missingKeySentence =
  'There is no API key that can create others: set BOOTSTRAP_ADMIN_KEY to a random text of at least 32 characters, or run "vitrine keys create --role admin" with the DATABASE_URL and SECRET_KEY of this function.';

/** Methods that never queue jobs. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Creates the handlers for a host without long-running processes. The first request starts the app. */
export function makeServerlessHandlers(options: ServerlessOptions): ServerlessHandlers {
  const { environment, waitUntil, exitOnFailure, workMs = 40_000, cronMs = 50_000 } = options;
  let appPromise: Promise<App> | undefined;
  let lastPollAt = Number.NEGATIVE_INFINITY;
  let hasKeys = false;

  /**
   * Returns the app. Concurrent requests share a single start. If the start fails, the next request tries again.
   */
  function getApp(): Promise<App> {
    appPromise ??= startApp(environment, exitOnFailure).catch((error: unknown) => {
      appPromise = undefined;
      throw error;
    });
    return appPromise;
  }

  async function withApp(response: ServerResponse, work: (app: App) => Promise<void>): Promise<void> {
    let app: App;
    try {
      app = await getApp();
      hasKeys ||= await app.canManageKeys();
      if (!hasKeys) return sendProblem(response, 503, missingKeySentence);
    } catch (error) {
      sendProblem(response, 503, describeStartFailure(error));
      return;
    }
    await work(app);
  }

  /** Processes due jobs after a response, because there is no worker. */
  async function processJobs(app: App, milliseconds: number): Promise<void> {
    if (performance.now() - lastPollAt > minPollIntervalMs) {
      lastPollAt = performance.now();
      await app.sweep('frequent');
    }
    await app.workFor(milliseconds);
  }

  return {
    handle: (request, response) =>
      withApp(response, async (app) => {
        await app.handle(request, response);
        const mayHaveQueuedJobs = !safeMethods.has(request.method ?? '');
        if (mayHaveQueuedJobs || performance.now() - lastPollAt > minPollIntervalMs)
          waitUntil(processJobs(app, workMs));
      }),
    async cron(request, response) {
      const secret = environment['CRON_SECRET']?.trim();
      if (!secret) {
        return sendProblem(response, 503, 'CRON_SECRET is not set, so cron requests cannot be authorized.');
      }
      if (!isEqual(request.headers.authorization ?? '', `Bearer ${secret}`)) {
        return sendProblem(
          response,
          401,
          'This endpoint is only for the cron trigger, which must send CRON_SECRET.',
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
      await (await appPromise?.catch(() => undefined))?.close();
    },
  };
}

async function startApp(environment: Environment, exitOnFailure: () => void): Promise<App> {
  try {
    const config = loadServerlessConfig(environment);
    const logger = await makeLogger(config.log);
    for (const warning of [...config.exposureWarnings, ...config.warnings]) logger.warn({}, warning);
    // Unlike `vitrine serve`, this process cannot re-execute itself to remove the secrets from its environment, because
    // the host controls it.
    logger.info(
      {},
      'The secrets of this function remain in its environment, where decoder processes can read them.',
    );
    return await makeApp(config, logger, exitOnFailure);
  } catch (error) {
    const logger = await makeLogger({ level: 'info', format: 'json' });
    logger.error(error instanceof ConfigError ? {} : { err: error }, describeStartFailure(error));
    throw error;
  }
}

/** Compares two texts in constant time. */
function isEqual(given: string, expected: string): boolean {
  const [givenHash, expectedHash] = [given, expected].map((text) =>
    createHash('sha256').update(text).digest(),
  );
  return givenHash !== undefined && expectedHash !== undefined && timingSafeEqual(givenHash, expectedHash);
}

/** Sends an error in the same format as the API. Used for requests that do not reach the app. */
function sendProblem(response: ServerResponse, status: 401 | 503, detail: string): void {
  const problem =
    status === 503
      ? { type: 'urn:vitrine:error:unavailable', title: errorTable.unavailable.title, code: 'unavailable' }
      : { type: 'about:blank', title: 'Unauthorized' };
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  });
  response.end(JSON.stringify({ ...problem, status, detail }));
}

/** Describes a failed start for clients. Reveals only configuration problems. Other errors are only logged. */
function describeStartFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message.replaceAll(/\s*\n\s*/g, ' ');
  return 'Vitrine could not start; see the log for details.';
}
