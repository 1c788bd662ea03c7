import type { Logger } from '../../../src/model/logger.ts';

/** One line of a log. */
interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** A logger that keeps its lines. */
export interface KeepingLogger extends Logger {
  readonly lines: LogLine[];
  /** The sentences, those of one level when it is given. */
  messages(level?: LogLine['level']): string[];
}

/** @see KeepingLogger */
export function keepingLogger(): KeepingLogger {
  const lines: LogLine[] = [];
  const keep = (level: LogLine['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  return {
    lines,
    messages: (level) => lines.filter((line) => !level || line.level === level).map(({ message }) => message),
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
  };
}
