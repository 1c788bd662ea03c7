import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { makeServerlessHandlers, type ServerlessOptions } from '../../../src/serverless/serverless.ts';
import { createServerDatabase, serverDatabaseUrl } from '../../support/inner/server-database.ts';
import { generousDecoderTimeouts } from '../../support/process/command.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** A server that calls a function for each request, as a serverless platform does. */
export interface FunctionHost {
  readonly url: string;
  /** Resolves when all requests and all work passed to `waitUntil` have finished. */
  drain(): Promise<void>;
}

/** Settings of a function that requires keys. */
export const functionKeys = {
  AUTH: '',
  SECRET_KEY: 'a-secret-of-tests-0123456789abcdef',
  BOOTSTRAP_ADMIN_KEY: 'a-bootstrap-key-of-tests-0123456789',
};

/**
 * Returns the environment of a function that has a new database and a unique prefix in the bucket. Everyone may call it, unless
 * `overrides` contains `functionKeys`.
 */
export async function createFunctionEnvironment(
  overrides: Record<string, string> = {},
  isMigrated = true,
): Promise<Record<string, string>> {
  const { name, remove } = await createServerDatabase(isMigrated);
  onTestFinished(remove);
  return s3Environment({
    DATABASE_URL: serverDatabaseUrl(name),
    LOG_LEVEL: 'error',
    AUTH: 'open',
    ...generousDecoderTimeouts,
    ...overrides,
  });
}

/** Starts an instance of the function. Requests to `/api/cron` call the cron handler. */
export async function startFunction(
  environment: Record<string, string>,
  options: Pick<ServerlessOptions, 'workMs' | 'cronMs'> = {},
): Promise<FunctionHost> {
  const pendingWork: Promise<unknown>[] = [];
  const waitUntil = (work: Promise<unknown>) => void pendingWork.push(work);
  const serverless = makeServerlessHandlers({
    environment,
    waitUntil,
    exitOnFailure: () => process.exit(1),
    workMs: waitTimeoutMs,
    ...options,
  });
  const server = createServer((request, response) => {
    const handler = request.url === '/api/cron' ? serverless.cron : serverless.handle;
    pendingWork.push(handler(request, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await serverless.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async drain() {
      while (pendingWork.length > 0) await Promise.all(pendingWork.splice(0));
    },
  };
}
