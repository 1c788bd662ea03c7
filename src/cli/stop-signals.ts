/** Signals closer together than this count as one: npm forwards a Ctrl-C that the terminal has already sent. */
const sameSignalMs = 1_000;

/**
 * Resolves with the first SIGTERM or SIGINT. A second one more than a second later ends the process at once: a user who
 * presses Ctrl-C again does not want to wait.
 */
export function untilStopped(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    firstAt ??= performance.now();
    if (performance.now() - firstAt > sameSignalMs) process.exit(130);
    resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return promise;
}

/** Returns a signal that aborts at the first Ctrl-C or SIGTERM. A second one ends the process at once. */
export function abortOnInterrupt(): AbortSignal {
  const controller = new AbortController();
  void untilStopped().then((signal) => controller.abort(signal));
  return controller.signal;
}

/** Ends the process after a failure that only a restart can repair. */
export function exitOnFailure(): void {
  process.exit(1);
}
