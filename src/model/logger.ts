type Log = (fields: object, message: string) => void;

/** Logs fields for machines and a sentence for people. */
export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
}
