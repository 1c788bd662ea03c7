import type { Logger } from '../../../src/model/logger.ts';

interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** A logger that records its lines. */
export interface RecordingLogger extends Logger {
  readonly lines: LogLine[];
  /** Returns all messages, or only the messages of `level` if it is given. */
  messages(level?: LogLine['level']): string[];
}

/** Creates a recording logger. */
export function makeRecordingLogger(): RecordingLogger {
  const lines: LogLine[] = [];
  const record = (level: LogLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return {
    lines,
    messages: (level) => lines.filter((line) => !level || line.level === level).map(({ message }) => message),
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
  };
}
