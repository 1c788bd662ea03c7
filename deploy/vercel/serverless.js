// Shared by the functions in api/. Vercel runs JavaScript only, so dist/ is built before deployment.
import process from 'node:process';
import { makeServerlessHandlers } from '../../dist/serverless/serverless.js';

// Vercel may set its own session token, which does not match the access keys of the bucket.
delete process.env.AWS_SESSION_TOKEN;

/** Key of Vercel's request context. Vercel's own package `@vercel/functions` also uses it. */
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
