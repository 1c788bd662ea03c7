// Shared by the functions in api/. Vercel runs JavaScript only, so dist/ is built before deployment.
import process from 'node:process';
import { makeServerlessHandlers } from '../../dist/serverless/serverless.js';

// Vercel may set its own token here, which does not match the bucket's access keys.
delete process.env.AWS_SESSION_TOKEN;

/** Vercel's context of the current request, as read by its own `@vercel/functions` package. */
const requestContext = Symbol.for('@vercel/request-context');

/** Keeps the function running until `task` settles. */
function waitUntil(task) {
  globalThis[requestContext]?.get?.()?.waitUntil?.(task);
}

export const serverless = makeServerlessHandlers({ environment: process.env, waitUntil });
