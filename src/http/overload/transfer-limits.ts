/** Uploads whose body is being received or processed, and their sizes. */
export interface Transfers {
  /** Returns why an upload of `bytes` cannot be received now, as a sentence; `undefined` if it can. */
  explainRefusal(caller: string, bytes: number): string | undefined;
  /** Counts an upload. Returns a function that ends it, which can be called repeatedly. */
  begin(caller: string, bytes: number): () => void;
  counts(): Totals;
}

interface Totals {
  readonly uploads: number;
  readonly bytes: number;
}

/** The fraction of either limit that one caller may use, so that clients that send slowly do not lock all others out. */
const callerFraction = 0.5;

/** Returns the start of a sentence about a number of uploads, such as "1 upload is" or "2 uploads are". */
export function countUploads(count: number, origin = ''): string {
  return count === 1 ? `1 upload${origin} is` : `${count} uploads${origin} are`;
}

/** Limits the uploads and the bytes in flight in this process. */
export function makeTransfers({
  maxUploads,
  maxBytes,
}: {
  readonly maxUploads: number;
  readonly maxBytes: number;
}): Transfers {
  const total = { uploads: 0, bytes: 0 };
  const byCaller = new Map<string, { uploads: number; bytes: number }>();
  // One upload must always be possible.
  const maxCallerUploads = Math.max(1, Math.floor(callerFraction * maxUploads));
  const maxCallerBytes = Math.floor(callerFraction * maxBytes);

  function explainRefusal(key: string, bytes: number): string | undefined {
    const caller = byCaller.get(key) ?? { uploads: 0, bytes: 0 };
    if (total.uploads >= maxUploads)
      return `${countUploads(total.uploads)} being received or processed; the limit is ${maxUploads} (MAX_UPLOADS_IN_FLIGHT).`;
    if (caller.uploads >= maxCallerUploads)
      return `${countUploads(caller.uploads, ' from this caller')} being received or processed; the limit per caller is ${maxCallerUploads} (half of MAX_UPLOADS_IN_FLIGHT = ${maxUploads}).`;
    if (total.uploads > 0 && total.bytes + bytes > maxBytes)
      return `Uploads of ${total.bytes} bytes are being received or processed, and this one may have ${bytes}; the limit is ${maxBytes} bytes (MAX_UPLOAD_MB_IN_FLIGHT).`;
    if (caller.uploads > 0 && caller.bytes + bytes > maxCallerBytes)
      return `Uploads of ${caller.bytes} bytes from this caller are being received or processed, and this one may have ${bytes}; the limit per caller is ${maxCallerBytes} bytes (half of MAX_UPLOAD_MB_IN_FLIGHT).`;
    return undefined;
  }

  function begin(key: string, bytes: number): () => void {
    const caller = byCaller.get(key) ?? { uploads: 0, bytes: 0 };
    byCaller.set(key, caller);
    for (const counted of [total, caller]) {
      counted.uploads += 1;
      counted.bytes += bytes;
    }
    let hasEnded = false;
    return () => {
      if (hasEnded) return;
      hasEnded = true;
      for (const counted of [total, caller]) {
        counted.uploads -= 1;
        counted.bytes -= bytes;
      }
      if (caller.uploads === 0) byCaller.delete(key);
    };
  }

  return { explainRefusal, begin, counts: () => ({ ...total }) };
}
