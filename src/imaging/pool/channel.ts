import type { Writable } from 'node:stream';

/** File descriptor of the channel in a child. The channel is a socket pair whose other end is in the parent. */
export const channelFd = 3;

/**
 * Maximum size of a message without its payload. The largest valid message (512 numbers and a thumbnail) is about 20
 * KB.
 */
const maxMessageBytes = 2 ** 20;
/** Length of the header, which contains the JSON length and the payload length as 32-bit big-endian numbers. */
const headerBytes = 8;

/** A frame sent through the channel. */
export interface Frame {
  /** Parsed JSON, not validated. */
  readonly message: unknown;
  /** Raw bytes that belong to the message; often empty. */
  readonly payload: Buffer;
}

/** Options for reading frames at one end of the channel. */
export interface FrameReaderOptions {
  /** Returns the maximum payload, in bytes, that is currently accepted. */
  readonly maxPayloadBytes: () => number;
  readonly onFrame: (frame: Frame) => void;
}

/** Writes one frame. Bytes that the other end never reads are discarded when the stream is destroyed. */
export function writeFrame(stream: Writable, message: object, payload: readonly Uint8Array[] = []): void {
  const json = Buffer.from(JSON.stringify(message));
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(json.length, 0);
  header.writeUInt32BE(
    payload.reduce((sum, part) => sum + part.length, 0),
    4,
  );
  stream.cork();
  for (const part of [header, json, ...payload]) stream.write(part);
  stream.uncork();
}

/**
 * Returns a function that accepts chunks from the channel as they arrive, and calls `onFrame` for each complete frame.
 * Used instead of Node's IPC because the peer may be malicious, and Node's IPC buffers messages of any length and
 * accepts handles.
 * @throws {Error} from the returned function if a frame is too large or is not JSON; the channel is then unusable.
 */
export function makeFrameReader({ maxPayloadBytes, onFrame }: FrameReaderOptions): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let bufferedBytes = 0;
  let lengths: { readonly messageBytes: number; readonly payloadBytes: number } | undefined;

  function joinChunks(): Buffer {
    const [first = Buffer.alloc(0)] = chunks;
    const buffer = chunks.length === 1 ? first : Buffer.concat(chunks, bufferedBytes);
    chunks = [buffer];
    return buffer;
  }

  function readLengths(): void {
    const header = joinChunks();
    const [messageBytes, payloadBytes] = [header.readUInt32BE(0), header.readUInt32BE(4)];
    if (messageBytes > maxMessageBytes)
      throw new Error(`The message has ${messageBytes} bytes; the limit is ${maxMessageBytes}.`);
    const limit = maxPayloadBytes();
    if (payloadBytes > limit)
      throw new Error(`The payload has ${payloadBytes} bytes; the limit is ${limit}.`);
    lengths = { messageBytes, payloadBytes };
  }

  function emitFrame({ messageBytes, payloadBytes }: NonNullable<typeof lengths>): void {
    const buffer = joinChunks();
    const bodyStart = headerBytes + messageBytes;
    const remainingBytes = buffer.subarray(bodyStart + payloadBytes);
    chunks = [remainingBytes];
    bufferedBytes = remainingBytes.length;
    lengths = undefined;
    const parsedMessage: unknown = JSON.parse(buffer.toString('utf8', headerBytes, bodyStart));
    onFrame({ message: parsedMessage, payload: buffer.subarray(bodyStart, bodyStart + payloadBytes) });
  }

  return (chunk) => {
    chunks.push(chunk);
    bufferedBytes += chunk.length;
    for (;;) {
      if (lengths === undefined && bufferedBytes >= headerBytes) readLengths();
      if (lengths === undefined || bufferedBytes < headerBytes + lengths.messageBytes + lengths.payloadBytes)
        return;
      emitFrame(lengths);
    }
  };
}
