import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { RequestLogger } from '../../src/http/request-logger.ts';

function makeLogger() {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(JSON.parse(line.toString()) as Record<string, unknown>);
      done();
    },
  });
  return { lines, logger: pino({ level: 'debug', redact: ['secret'] }, stream) };
}

test("adds the request's id to each line, and hides secrets", () => {
  const { lines, logger } = makeLogger();
  const log = new RequestLogger(logger, { reqId: 'req-7' });
  log.info({ secret: 'x' }, 'accepted');
  log.error('failed');
  log.child({ step: 2 }).warn('slow');
  log.trace('not logged');
  log.silent();
  expect(lines).toMatchObject([
    { level: 30, reqId: 'req-7', secret: '[Redacted]', msg: 'accepted' },
    { level: 50, reqId: 'req-7', msg: 'failed' },
    { level: 40, reqId: 'req-7', step: 2, msg: 'slow' },
  ]);
  expect(log.level).toBe('debug');
});

test('makes a child logger only when something is logged', () => {
  const { logger } = makeLogger();
  let children = 0;
  const counting = Object.assign(Object.create(logger) as typeof logger, {
    child: (bindings: object) => {
      children += 1;
      return logger.child(bindings);
    },
  });
  const log = new RequestLogger(counting, { reqId: 'req-8' });
  expect(children).toBe(0);
  log.debug('first');
  log.fatal('second');
  expect(children).toBe(1);
});
