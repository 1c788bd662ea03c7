import { AppError } from '../errors.ts';

/** Deadlines that appear in error messages, in milliseconds. */
export interface Deadlines {
  /** Deadline for connecting, including the TLS handshake. */
  readonly connectMs: number;
  /** Deadline for the response head, measured from the time the request is sent. */
  readonly headersMs: number;
  /** Maximum time without data while the body is received. */
  readonly idleMs: number;
}

/** The deadline for connecting was exceeded. */
export class ConnectTimeout extends Error {}

/** The deadline for the response head was exceeded. */
export class HeadTimeout extends Error {}

/** Maximum size of a response head, in bytes. curl has the same limit. */
export const maxHeadBytes = 300 * 1024;

/** Converts an error from Node's HTTP parser. Returns `undefined` for other errors. */
function malformedResponse(error: unknown): AppError | undefined {
  const code = errorCode(error);
  if (!code.startsWith('HPE_')) return undefined;
  const reason = parserReasons.find(([codes]) => codes.test(code))?.[1] ?? `it violates HTTP (${code})`;
  return new AppError('source_refused', `The server sent a malformed HTTP response: ${reason}.`, {
    cause: error,
  });
}

const parserReasons: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/^HPE_HEADER_OVERFLOW$/, `its headers exceed ${maxHeadBytes / 1024} KiB`],
  [/^HPE_UNEXPECTED_CONTENT_LENGTH$/, 'it has more than one Content-Length header'],
  [/^HPE_INVALID_CONTENT_LENGTH$/, 'its Content-Length header is not a number'],
  [/^HPE_INVALID_TRANSFER_ENCODING$/, 'its Transfer-Encoding header is invalid'],
  [/^HPE_(INVALID_)?CHUNK/, 'a chunk of its body has an invalid size'],
  [/^HPE_INVALID_HEADER_TOKEN$/, 'a header line has no colon or contains a forbidden character'],
  [/^HPE_INVALID_(STATUS|VERSION)$/, 'its status line is invalid'],
];

interface ConnectionContext {
  readonly connectMs: number;
  readonly headersMs?: number;
  /** Whether the address is in a network that the operator allows. */
  readonly isInAllowedNetwork: boolean;
}

/**
 * Converts an error that occurred before the connection was established. If the address is in an allowed network, the
 * message is the same for a closed port, a filtered port and a different protocol, so that imports cannot be used to
 * scan ports.
 */
export function toConnectionError(
  error: unknown,
  { connectMs, isInAllowedNetwork }: ConnectionContext,
): AppError {
  const code = errorCode(error);
  const certificateReason = certificateReasons.find(([codes]) => codes.test(code))?.[1];
  if (certificateReason !== undefined) {
    const message = `The server's certificate is not valid: ${certificateReason}.`;
    return new AppError('source_refused', message, { cause: error });
  }
  if (isInAllowedNetwork) return noHttpResponse(error);
  if (error instanceof ConnectTimeout)
    return sourceUnavailable(`Could not connect to the server within ${formatSeconds(connectMs)}.`, error);
  const message = connectionMessages.find(([codes]) => codes.test(code))?.[1];
  return sourceUnavailable(message ?? 'The connection to the server was lost before it responded.', error);
}

/** Converts an error that occurred between the request and the end of the response head. */
export function toHeadError(
  error: unknown,
  context: ConnectionContext & { readonly headersMs: number },
): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof HeadTimeout)
    return sourceUnavailable(
      `The server did not start responding within ${formatSeconds(context.headersMs)}.`,
      error,
    );
  if (
    context.isInAllowedNetwork &&
    (errorCode(error) === notHttpCode || malformedResponse(error) === undefined)
  )
    return noHttpResponse(error);
  if (errorCode(error) === notHttpCode) return sourceUnavailable("The server's response is not HTTP.", error);
  return (
    malformedResponse(error) ??
    sourceUnavailable('The server closed the connection before it responded.', error)
  );
}

/** The parser's error code for a response in a different protocol. */
const notHttpCode = 'HPE_INVALID_CONSTANT';

function noHttpResponse(cause: unknown): AppError {
  return sourceUnavailable(
    'The server sent no HTTP response: it refuses or drops connections, is too slow, or uses a different protocol.',
    cause,
  );
}

/** Converts an error that occurred while the body was received. */
export function toBodyError(error: Error): Error {
  if (error instanceof AppError || !('syscall' in error || 'code' in error)) return error;
  return malformedResponse(error) ?? sourceUnavailable('The connection was lost during the download.', error);
}

/**
 * Creates the error for a truncated body.
 * @param declaredBytes the Content-Length header, if any
 */
export function truncatedBody(receivedBytes: number, declaredBytes: string | undefined): AppError {
  const total = declaredBytes === undefined ? '' : ` of ${declaredBytes}`;
  return sourceUnavailable(
    `The server ended the response too early: ${receivedBytes}${total} bytes were received.`,
  );
}

/** Creates the error for a server that stopped sending data. */
export function idleTimeout(idleMs: number): AppError {
  return sourceUnavailable(`The server sent no data for ${formatSeconds(idleMs)}.`);
}

/** Returns a signal's abort reason as an `Error`, because streams require an `Error`. */
export function abortReason(signal: AbortSignal): Error {
  const { reason } = signal as { readonly reason: unknown };
  return reason instanceof Error ? reason : sourceUnavailable('The download was stopped.', reason);
}

/** Creates the error for a download that exceeded its deadline. */
export function totalTimeout(totalMs: number): AppError {
  return sourceUnavailable(`The download took longer than ${formatSeconds(totalMs)}.`);
}

const mebibyte = 1024 * 1024;

/** Creates the error for a body larger than `maxBytes`. */
export function bodyTooLarge(maxBytes: number): AppError {
  const maxMiB = Number((maxBytes / mebibyte).toFixed(2));
  return new AppError(
    'body_too_large',
    `The file at the URL is larger than ${maxMiB} MiB (${maxBytes} bytes).`,
  );
}

function sourceUnavailable(message: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', message, { cause });
}

/** Reasons why a certificate is not valid, by OpenSSL error code. */
const certificateReasons: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/^CERT_HAS_EXPIRED$/, 'it has expired'],
  [/^CERT_NOT_YET_VALID$/, 'its validity period has not started yet'],
  [/^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/, 'it was issued for a different name'],
  [/^(DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT)/, 'it is self-signed'],
  [/^UNABLE_TO_(VERIFY|GET_ISSUER)/, 'its issuer is unknown, or missing from the chain that the server sent'],
  [/^CERT_REVOKED$/, 'it has been revoked'],
  [/^(ERR_TLS_CERT_|CERT_|UNABLE_TO_|INVALID_)/, 'it cannot be verified'],
];

/** Messages for failed connections, by operating system or OpenSSL error code. */
const connectionMessages: readonly (readonly [codes: RegExp, message: string])[] = [
  [/^ECONNREFUSED$/, 'The server refused the connection.'],
  [/^E(HOST|NET)(UNREACH|DOWN)$/, 'There is no route to the server.'],
  [/^ETIMEDOUT$/, 'The connection to the server timed out.'],
  [
    /^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST)$/,
    'The server does not speak TLS on this port.',
  ],
  [/^(ERR_SSL_|EPROTO)/, 'The TLS handshake with the server failed.'],
];

/** Returns the code of a Node or OpenSSL error, or an empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const formatSeconds = (ms: number) => `${ms / 1000} s`;
