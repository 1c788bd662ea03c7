// Shared by the functions in api/. Vercel runs JavaScript only, so dist/ is built before deployment.
import process from 'node:process';
import { makeServerlessHandlers } from '../../dist/serverless/serverless.js';

// Vercel may set a token of its own, which does not match the access keys of the bucket.
delete process.env.AWS_SESSION_TOKEN;

/** Key of Vercel's context of the current request, which Vercel's `@vercel/functions` package also reads. */
const requestContext = Symbol.for('@vercel/request-context');

/** Keeps the function running until `task` settles. */
function waitUntil(task) {
  globalThis[requestContext]?.get?.()?.waitUntil?.(task);
}

export const handlers = makeServerlessHandlers({
  environment: process.env,
  waitUntil,
  exitOnFailure: () => process.exit(1),
});
