type Log = (fields: object, message: string) => void;

/** What parts need of a log: fields for machines, a sentence for people. */
export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
}
