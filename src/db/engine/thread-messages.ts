/** Sent to the thread of the embedded database. Each request except `close` is answered. */
export type ThreadRequest =
  /** Messages of the PostgreSQL protocol to execute. */
  | { readonly messages: Uint8Array }
  /** Discard what the last connection left behind. The answer is empty. */
  | { readonly beginSession: true }
  | { readonly close: true };

/** Sent by the thread of the embedded database: that it is open, or the answer to a request. */
export type ThreadMessage =
  | { readonly isOpen: true }
  /** The database's messages. They may report an SQL error. */
  | { readonly answer: Uint8Array<ArrayBuffer> }
  /** The database could not execute the request at all. */
  | { readonly error: unknown };
