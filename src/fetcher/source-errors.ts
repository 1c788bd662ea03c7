import { AppError } from '../errors.ts';

/** Deadlines mentioned in errors, in milliseconds. */
export interface Deadlines {
  /** For a connection with its handshake. */
  readonly connectMs: number;
  /** From the request to the whole head of the answer. */
  readonly headersMs: number;
  /** Longest pause in the body. */
  readonly idleMs: number;
}

/** The deadline for a connection was exceeded. */
export class ConnectTimeout extends Error {}

/** The deadline for the head of a response was exceeded. */
export class HeadTimeout extends Error {}

/** Bytes before the body of a response, the same limit as in curl. */
export const maxHeadBytes = 300 * 1024;

/** What Node's parser rejects, by error code; `undefined` for other errors. */
function malformed(error: unknown): AppError | undefined {
  const code = codeOf(error);
  if (!code.startsWith('HPE_')) return undefined;
  const what = parserFaults.find(([codes]) => codes.test(code))?.[1] ?? `it breaks a rule of HTTP (${code})`;
  return new AppError('source_refused', `The server's HTTP answer is malformed: ${what}.`, { cause: error });
}

const parserFaults: readonly (readonly [codes: RegExp, clause: string])[] = [
  [/^HPE_HEADER_OVERFLOW$/, `its headers have more than ${maxHeadBytes / 1024} KiB`],
  [/^HPE_UNEXPECTED_CONTENT_LENGTH$/, 'its headers give the length of the body more than once'],
  [/^HPE_INVALID_CONTENT_LENGTH$/, 'its Content-Length is not a number'],
  [/^HPE_INVALID_TRANSFER_ENCODING$/, 'its Transfer-Encoding cannot be read'],
  [/^HPE_(INVALID_)?CHUNK/, 'the size of a chunk of its body cannot be read'],
  [/^HPE_INVALID_HEADER_TOKEN$/, 'a header line has no colon, or a character that HTTP does not allow'],
  [/^HPE_INVALID_(STATUS|VERSION)$/, 'its status line cannot be read'],
];

interface Where {
  readonly connectMs: number;
  readonly headersMs?: number;
  /** The address lies in a network that the operator allows. */
  readonly isExempt: boolean;
}

/**
 * An error before the connection was established. In the operator's own networks, a closed port, a filtered one and one
 * with another protocol produce the same message, so that imports cannot be used as a port scanner.
 */
export function namedConnectionError(error: unknown, { connectMs, isExempt }: Where): AppError {
  const code = codeOf(error);
  const certificateFault = certificateFaults.find(([codes]) => codes.test(code))?.[1];
  if (certificateFault !== undefined) {
    const sentence = `The certificate of the server is not valid: ${certificateFault}.`;
    return new AppError('source_refused', sentence, { cause: error });
  }
  if (isExempt) return noHttpInside(error);
  if (error instanceof ConnectTimeout)
    return unavailable(`No connection to the server came about within ${seconds(connectMs)}.`, error);
  const fault = connectionFaults.find(([codes]) => codes.test(code))?.[1];
  return unavailable(fault ?? 'The connection to the server broke before it answered.', error);
}

/** An error between the request and the end of the answer's head. */
export function namedHeadError(error: unknown, where: Where & { readonly headersMs: number }): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof HeadTimeout)
    return unavailable(`The server did not begin its answer within ${seconds(where.headersMs)}.`, error);
  if (where.isExempt && (codeOf(error) === notHttp || malformed(error) === undefined))
    return noHttpInside(error);
  if (codeOf(error) === notHttp) return unavailable('What the server answered is not HTTP.', error);
  return malformed(error) ?? unavailable('The connection to the server closed before it answered.', error);
}

/** The parser's code for the first line of another protocol. */
const notHttp = 'HPE_INVALID_CONSTANT';

function noHttpInside(cause: unknown): AppError {
  return unavailable(
    'No HTTP answer came from the server: it refuses or breaks connections, is too slow, or speaks another protocol.',
    cause,
  );
}

/** A connection error in the middle of a body. */
export function namedBodyError(error: Error): Error {
  if (error instanceof AppError || !('syscall' in error || 'code' in error)) return error;
  return malformed(error) ?? unavailable('The connection broke in the middle of the file.', error);
}

/** A body that ended early. @param announced bytes that it should have, if the server declared them */
export function cutBody(received: number, announced: string | undefined): AppError {
  const of = announced === undefined ? '' : ` of ${announced}`;
  return unavailable(`The server ended the file too early: ${received}${of} bytes came.`);
}

/** A pause in the body that is too long. */
export function idlePassed(idleMs: number): AppError {
  return unavailable(`The server sent nothing for ${seconds(idleMs)}.`);
}

/** The reason of a signal, as an error that a stream can carry. */
export function reasonOf(signal: AbortSignal): Error {
  const { reason } = signal as { readonly reason: unknown };
  return reason instanceof Error ? reason : unavailable('The download was stopped.', reason);
}

/** The end of a whole download, however steadily it flows. */
export function totalPassed(totalMs: number): AppError {
  return unavailable(`The download took longer than ${seconds(totalMs)}.`);
}

const mebibyte = 1024 * 1024;

/** @param maxBytes the limit that was passed */
export function tooLarge(maxBytes: number): AppError {
  const inMiB = Number((maxBytes / mebibyte).toFixed(2));
  return new AppError(
    'body_too_large',
    `The file at the URL is larger than ${inMiB} MiB (${maxBytes} bytes).`,
  );
}

function unavailable(sentence: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', sentence, { cause });
}

/** OpenSSL's names of what can be wrong with a certificate. */
const certificateFaults: readonly (readonly [codes: RegExp, fault: string])[] = [
  [/^CERT_HAS_EXPIRED$/, 'it has expired'],
  [/^CERT_NOT_YET_VALID$/, 'its time has not begun yet'],
  [/^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/, 'it is made out to another name'],
  [/^(DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT)/, 'it is signed by itself'],
  [
    /^UNABLE_TO_(VERIFY|GET_ISSUER)/,
    'its issuer is not known, or missing from the chain that the server sent',
  ],
  [/^CERT_REVOKED$/, 'it was revoked'],
  [/^(ERR_TLS_CERT_|CERT_|UNABLE_TO_|INVALID_)/, 'it cannot be verified'],
];

/** Error codes of the system and of OpenSSL for a connection that failed. */
const connectionFaults: readonly (readonly [codes: RegExp, sentence: string])[] = [
  [/^ECONNREFUSED$/, 'The server refused the connection.'],
  [/^E(HOST|NET)(UNREACH|DOWN)$/, 'The network knows no way to the server.'],
  [/^ETIMEDOUT$/, 'The server did not answer.'],
  [
    /^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST)$/,
    'The server does not speak TLS on this port.',
  ],
  [/^(ERR_SSL_|EPROTO)/, 'The server and Vitrine could not agree on a TLS connection.'],
];

/** The code of a Node or OpenSSL error; empty if it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const seconds = (ms: number) => `${ms / 1000} s`;
