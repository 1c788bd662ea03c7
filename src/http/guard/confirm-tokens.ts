import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';

const tokenHeader = 'x-confirm-token';

/** Names, in snake case, of query parameters in which a client might send the confirmation token. */
const forbiddenParameters = new Set([
  'confirm_token',
  'confirmtoken',
  'confirm',
  'token',
  tokenHeader.replaceAll('-', '_'),
]);

/**
 * Hook for routes that remove files. Rejects a confirmation token in the URL, because URLs end up in logs and browser
 * histories. The hook runs before schema validation, which would not explain where to send the token.
 */
export function rejectTokenInUrl(
  { raw }: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const names = [...new URLSearchParams((raw.url ?? '').split('?')[1]).keys()];
  const parameter = names.find((name) => forbiddenParameters.has(name.toLowerCase().replaceAll('-', '_')));
  if (parameter === undefined) done();
  else
    done(
      new AppError(
        'invalid_request',
        `Do not send the token in the URL (query/${parameter}), because logs store URLs. Send it as confirm_token in the body or in the header X-Confirm-Token.`,
      ),
    );
}

/** Returns the confirmation tokens from a request's body and header. */
export function readConfirmTokens(
  { headers }: FastifyRequest,
  bodyToken: string | null | undefined,
): string[] {
  const value = headers[tokenHeader];
  const headerToken = value === undefined ? undefined : decodeHeader(String(value));
  return [bodyToken, headerToken].filter((token) => token !== undefined && token !== null);
}

/** Decodes a header as UTF-8, the encoding that clients use. Node decodes headers as latin1. */
function decodeHeader(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}
