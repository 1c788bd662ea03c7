import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';

const header = 'x-confirm-token';

/** Parameter names under which clients might put the token into a URL. */
const namesInAddresses = new Set([
  'confirm_token',
  'confirmtoken',
  'confirm',
  'token',
  header.replaceAll('-', '_'),
]);

/**
 * Hook of every route that removes files: refuses a token in the URL, which logs and browser histories store. It runs
 * before schema validation, which drops or refuses unknown parameters without saying where a token belongs.
 */
export function refuseTokenInAddress(
  { raw }: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const names = [...new URLSearchParams((raw.url ?? '').split('?')[1]).keys()];
  const found = names.find((name) => namesInAddresses.has(name.toLowerCase().replaceAll('-', '_')));
  if (found === undefined) done();
  else
    done(
      new AppError(
        'invalid_request',
        `The token does not belong in an address (query/${found}), where logs keep it: send it as confirm_token in the body or in the header X-Confirm-Token.`,
      ),
    );
}

/** The tokens with which a request confirms a purge: from its body and from its header. */
export function confirmTokensOf({ headers }: FastifyRequest, inBody: string | null | undefined): string[] {
  const given = headers[header];
  const inHeader = given === undefined ? undefined : readText(String(given));
  return [inBody, inHeader].filter((token) => token !== undefined && token !== null);
}

/** Clients encode non-ASCII header text as UTF-8, and Node decodes each byte as one character. */
function readText(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}
