// What the functions in api/ share. Vercel builds dist/ before: it runs JavaScript only.
import process from 'node:process';
import { makeServerless } from '../../dist/serverless/serverless.js';

// Vercel may set this to a token of its own, which does not belong to the keys of the bucket.
delete process.env.AWS_SESSION_TOKEN;

/** Where Vercel keeps what belongs to the request at hand; its own package of functions reads it, too. */
const requestContext = Symbol.for('@vercel/request-context');

function waitUntil(work) {
  globalThis[requestContext]?.get?.()?.waitUntil?.(work);
}

export const serverless = makeServerless({ environment: process.env, waitUntil });
