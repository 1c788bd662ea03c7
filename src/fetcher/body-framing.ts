import { listOf, type ResponseHead } from './response-head.ts';
import { malformed } from './source-errors.ts';

/** Where the body of an answer ends. */
export interface BodyFraming {
  /** Bytes that the whole body has, when the head says so. */
  readonly announced: number | undefined;
  /**
   * The bytes of the body in what came over the connection.
   * @throws {AppError} `source_refused` for chunks that cannot be read.
   */
  take(received: Buffer): readonly Buffer[];
  /** Whether the body is complete; `closed` when no more bytes will come. */
  isComplete(closed: boolean): boolean;
}

/**
 * Reads from the head how the body is framed. Chunks win over a length, and equal lengths count once, as in RFC 9112;
 * a length that is no number counts as none. That is safe here: each connection serves one answer, so that bytes left
 * over are never taken for another one.
 * @throws {AppError} `source_refused` for two different lengths.
 */
export function framingOf(head: ResponseHead): BodyFraming {
  if (listOf(head, 'transfer-encoding').includes('chunked')) return inChunks();
  const lengths = new Set(
    listOf(head, 'content-length')
      .filter((value) => /^\d{1,15}$/.test(value))
      .map(Number),
  );
  const [length] = lengths;
  if (lengths.size > 1)
    throw malformed(`its headers name several lengths (${[...lengths].join(', ')} bytes)`);
  return length === undefined ? untilClosed() : ofLength(length);
}

function untilClosed(): BodyFraming {
  return { announced: undefined, take: (received) => [received], isComplete: (closed) => closed };
}

function ofLength(length: number): BodyFraming {
  let left = length;
  return {
    announced: length,
    take(received) {
      const body = received.subarray(0, left);
      left -= body.length;
      return [body];
    },
    isComplete: () => left === 0,
  };
}

/** Longest line before a chunk, extensions included. */
const longestSizeLine = 4_096;

const noSize = () => malformed('the size of a chunk of its body cannot be read');

/** What comes after the last chunk is not waited for. */
function inChunks(): BodyFraming {
  let state: 'size' | 'data' | 'end-of-data' | 'complete' = 'size';
  let left = 0;
  let line = '';

  /** Reads one step; answers how many bytes it has taken. */
  function step(received: Buffer, body: Buffer[]): number {
    if (state === 'data') {
      const data = received.subarray(0, left);
      body.push(data);
      left -= data.length;
      if (left === 0) state = 'end-of-data';
      return data.length;
    }
    const end = received.indexOf('\n');
    line += received.toString('latin1', 0, end < 0 ? undefined : end);
    // At the first character already, since a body without chunks may have no line end at all.
    if (line.length > longestSizeLine || (state === 'size' && !/^\s*([\da-f]|$)/i.test(line))) throw noSize();
    if (end < 0) return received.length;
    finishLine();
    return end + 1;
  }

  function finishLine(): void {
    const text = line.trim();
    line = '';
    if (state === 'end-of-data') {
      if (text !== '') throw malformed('a chunk of its body is longer than its size says');
      state = 'size';
      return;
    }
    const size = /^([\da-f]{1,12})\s*(?:;.*)?$/i.exec(text)?.[1];
    if (size === undefined) throw noSize();
    left = Number.parseInt(size, 16);
    state = left === 0 ? 'complete' : 'data';
  }

  return {
    announced: undefined,
    take(received) {
      const body: Buffer[] = [];
      let rest = received;
      while (rest.length > 0 && state !== 'complete') rest = rest.subarray(step(rest, body));
      return body;
    },
    isComplete: () => state === 'complete',
  };
}
