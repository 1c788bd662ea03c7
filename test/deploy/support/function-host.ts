import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { makeServerless, type ServerlessOptions } from '../../../src/serverless/serverless.ts';
import { createServerDatabase, urlOfDatabase } from '../../support/inner/server-database.ts';
import { generousDecoderTimeouts } from '../../support/process/command.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** A host that calls a function for each request, as serverless hosts do. */
export interface FunctionHost {
  readonly url: string;
  /** Resolves when all work passed to `waitUntil` has finished. */
  afterwards(): Promise<void>;
}

/** Variables of a function with a database and a part of the bucket of its own. */
export async function functionEnvironment(
  more: Record<string, string> = {},
  isMigrated = true,
): Promise<Record<string, string>> {
  const { name, remove } = await createServerDatabase(isMigrated);
  onTestFinished(remove);
  return s3Environment({
    DATABASE_URL: urlOfDatabase(name),
    LOG_LEVEL: 'error',
    ...generousDecoderTimeouts,
    ...more,
  });
}

/** Starts one instance of the function; `/api/cron` leads to its timetable. */
export async function startFunction(
  environment: Record<string, string>,
  options: Pick<ServerlessOptions, 'workMs' | 'cronMs'> = {},
): Promise<FunctionHost> {
  const announced: Promise<unknown>[] = [];
  const waitUntil = (work: Promise<unknown>) => void announced.push(work);
  const serverless = makeServerless({ environment, waitUntil, workMs: waitTimeoutMs, ...options });
  const server = createServer((request, response) => {
    const call = request.url === '/api/cron' ? serverless.cron : serverless.handle;
    announced.push(call(request, response));
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
    async afterwards() {
      while (announced.length > 0) await Promise.all(announced.splice(0));
    },
  };
}
