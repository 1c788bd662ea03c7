import { malformed, notHttp } from './source-errors.ts';

/** Most bytes before the body, as much as curl takes. */
const mostHeadBytes = 300 * 1024;

/** The head of an HTTP answer. */
export interface ResponseHead {
  readonly status: number;
  /** Values by name in small letters, in the order of the answer. Bytes are characters of latin1. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

/** Collects the bytes of an answer until its head is complete. */
export interface HeadReader {
  /**
   * The head, once `chunk` completes it, with the bytes of the body that came along.
   * @throws {AppError} `source_refused` for what is not HTTP or has too large a head.
   */
  take(chunk: Buffer): { readonly head: ResponseHead; readonly rest: Buffer } | undefined;
}

/**
 * Reads heads as leniently as browsers and curl do: lines may end in LF alone, continue on the next one, or lack their
 * colon. Interim answers (1xx) are skipped.
 */
export function makeHeadReader(): HeadReader {
  let chunks: Buffer[] = [];
  let bytes = 0;
  const ends = makeEndFinder();
  return {
    take(chunk) {
      let left = chunk;
      for (;;) {
        const end = ends(left);
        bytes += end ?? left.length;
        if (bytes > mostHeadBytes) throw malformed(`its headers have more than ${mostHeadBytes / 1024} KiB`);
        chunks.push(left.subarray(0, end));
        assertHttp(chunks);
        if (end === undefined) return undefined;
        const head = parseHead(Buffer.concat(chunks).toString('latin1'));
        left = left.subarray(end);
        chunks = [];
        if (!isInterim(head)) return { head, rest: left };
      }
    },
  };
}

/** Finds where an empty line ends, across chunks: byte by byte, so that small packets cost no more than large ones. */
function makeEndFinder(): (chunk: Buffer) => number | undefined {
  const [lineFeed, carriageReturn] = [0x0a, 0x0d];
  let lineIsEmpty = false;
  return (chunk) => {
    for (const [index, byte] of chunk.entries()) {
      if (byte === lineFeed && lineIsEmpty) {
        lineIsEmpty = false;
        return index + 1;
      }
      if (byte !== carriageReturn) lineIsEmpty = byte === lineFeed;
    }
    return undefined;
  };
}

/** At the first bytes already: a server of another protocol may wait for an answer to its greeting. */
function assertHttp(chunks: readonly Buffer[]): void {
  const [first] = chunks;
  const start = (first && first.length >= 5 ? first : Buffer.concat(chunks)).toString('latin1', 0, 5);
  if (!'HTTP/'.startsWith(start)) throw notHttp();
}

/** Upgrades were not asked for, so 101 is a last answer, and a wrong one. */
function isInterim({ status }: ResponseHead): boolean {
  return status >= 100 && status < 200 && status !== 101;
}

function parseHead(text: string): ResponseHead {
  const [first = '', ...lines] = text.trimEnd().split(/\r?\n/);
  const status = /^HTTP\/\d+(?:\.\d+)?[ \t]+(\d{3})(?!\d)/.exec(first)?.[1];
  if (status === undefined) throw malformed('its first line has no status');
  const fields = new Map<string, string[]>();
  for (const line of unfolded(lines)) {
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return { status: Number(status), fields };
}

/** Lines that begin with a blank continue the one before. */
function unfolded(lines: readonly string[]): string[] {
  const whole: string[] = [];
  for (const line of lines) {
    if (/^[ \t]/.test(line) && whole.length > 0) whole.push(`${whole.pop() ?? ''} ${line.trim()}`);
    else whole.push(line);
  }
  return whole;
}

/** The members of a field that is a list, without empty ones, in small letters. */
export function listOf({ fields }: ResponseHead, name: string): string[] {
  const values = (fields.get(name) ?? []).flatMap((value) => value.split(','));
  return values.map((value) => value.trim().toLowerCase()).filter((value) => value !== '');
}
