import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';

const header = 'x-confirm-token';

/** Query parameters in which clients might send the token. */
const queryNames = new Set([
  'confirm_token',
  'confirmtoken',
  'confirm',
  'token',
  header.replaceAll('-', '_'),
]);

/**
 * Hook of every route that removes files: refuses a token in the URL, which ends up in logs and browser histories. It runs
 * before schema validation, which ignores or refuses unknown parameters without saying where a token belongs.
 */
export function rejectTokenInUrl(
  { raw }: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const names = [...new URLSearchParams((raw.url ?? '').split('?')[1]).keys()];
  const parameter = names.find((name) => queryNames.has(name.toLowerCase().replaceAll('-', '_')));
  if (parameter === undefined) done();
  else
    done(
      new AppError(
        'invalid_request',
        `Do not send the token in the URL (query/${parameter}), which logs store: send it as confirm_token in the body or in the header X-Confirm-Token.`,
      ),
    );
}

/** Returns the confirmation tokens of a request: from its body and from its header. */
export function readConfirmTokens({ headers }: FastifyRequest, inBody: string | null | undefined): string[] {
  const value = headers[header];
  const inHeader = value === undefined ? undefined : decodeHeader(String(value));
  return [inBody, inHeader].filter((token) => token !== undefined && token !== null);
}

/** Clients encode non-ASCII headers as UTF-8, but Node decodes them as latin1. */
function decodeHeader(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}
