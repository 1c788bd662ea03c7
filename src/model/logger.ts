type LogFunction = (fields: object, message: string) => void;

/** Logs fields for machines and a sentence for people. */
export interface Logger {
  readonly debug: LogFunction;
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
}
