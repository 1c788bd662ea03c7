/** Signals closer together than this are one: a Ctrl-C reaches the server from the terminal and again through npm. */
const sameSignalMs = 1_000;

/**
 * Resolves with the first SIGTERM or SIGINT. A second one, later than a second, ends the process at once: someone who
 * presses Ctrl-C again does not want to wait.
 */
export function untilStopped(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let first: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    first ??= performance.now();
    if (performance.now() - first > sameSignalMs) process.exit(130);
    resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return promise;
}

/** Aborts at the first Ctrl-C or SIGTERM; the second one ends the process at once. */
export function abortOnInterrupt(): AbortSignal {
  const controller = new AbortController();
  void untilStopped().then((signal) => controller.abort(signal));
  return controller.signal;
}

/** Ends the process after a failure that only a restart can repair. */
export function exitOnFailure(): void {
  process.exit(1);
}
