import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type App, makeApp } from '../app.ts';
import { ConfigError, type Environment } from '../config.ts';
import { makeLogger } from '../telemetry/logger.ts';
import { answerRefusal, reasonOfFailedStart } from './refusals.ts';
import { loadServerlessConfig } from './settings.ts';

/** What a host calls with each request. */
export type ServerlessHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** One app for all requests that come to one instance of a function. */
export interface Serverless {
  /** Answers all routes. Work that was queued is done after the answer, within the same call. */
  readonly handle: ServerlessHandler;
  /** Works on due jobs and makes the sweeps that are due; for a timetable that shows `CRON_SECRET`. */
  readonly cron: ServerlessHandler;
  close(): Promise<void>;
}

/** How one function of a host is to be served. */
export interface ServerlessOptions {
  readonly environment: Environment;
  /** Tells the host of work that goes on after the answer. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** How long work may go on after an answer, and how long for a timetable: below the host's limit for a call. */
  readonly workMs?: number;
  readonly cronMs?: number;
}

/** After requests that queue nothing, due jobs of others are looked for this often at most. */
const lookMs = 10_000;

/** Requests that cannot have queued work. */
const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Serves Vitrine where no process runs between requests. The app is made by the first request. */
export function makeServerless(options: ServerlessOptions): Serverless {
  const { environment, waitUntil, workMs = 40_000, cronMs = 50_000 } = options;
  let starting: Promise<App> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;

  /** A start that failed is tried again by the next request; requests of the same moment share one. */
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
      answerRefusal(response, 503, reasonOfFailedStart(error));
      return;
    }
    await work(app);
  }

  /** There is no worker: each call does what is due, its own work first of all. */
  async function workAfter(app: App, milliseconds: number): Promise<void> {
    const isTimeToLook = performance.now() - lookedAt > lookMs;
    if (isTimeToLook) {
      lookedAt = performance.now();
      await app.sweep('frequent');
    }
    await app.workFor(milliseconds);
  }

  return {
    handle: (request, response) =>
      withApp(response, async (app) => {
        await app.answer(request, response);
        const mayHaveQueued = !readingMethods.has(request.method ?? '');
        if (mayHaveQueued || performance.now() - lookedAt > lookMs) waitUntil(workAfter(app, workMs));
      }),
    async cron(request, response) {
      const secret = environment['CRON_SECRET']?.trim();
      if (!secret) {
        return answerRefusal(response, 503, 'CRON_SECRET is not set: the timetable cannot be let in.');
      }
      if (!isSame(request.headers.authorization ?? '', `Bearer ${secret}`)) {
        return answerRefusal(response, 401, 'This address is for the timetable, which shows CRON_SECRET.');
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
      'The secrets of this function stay in its environment, which decoder processes can read.',
    );
    // The host replaces a function that has exited.
    return await makeApp(config, logger, () => process.exit(1));
  } catch (error) {
    const logger = await makeLogger({ level: 'info', format: 'json' });
    logger.error(error instanceof ConfigError ? {} : { err: error }, reasonOfFailedStart(error));
    throw error;
  }
}

/** Takes the same time for every wrong secret. */
function isSame(given: string, wanted: string): boolean {
  const [left, right] = [given, wanted].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}
