import { serve } from './origin.ts';

/** Servers that imports must never reach. They represent an operator's internal network. */
export interface Canaries {
  /** Canary URLs in many notations, including addresses that the system maps to this machine. */
  readonly targets: readonly string[];
  /** Port of the canary on 127.0.0.2. */
  readonly port: number;
  /** Total number of connections to all canaries. */
  countConnections(): number;
  close(): Promise<void>;
}

const picture = 'must never be imported';

/** Starts canaries on 127.0.0.2 and, if available, on ::1. */
export async function serveCanaries(): Promise<Canaries> {
  const v4 = await serve((_request, response) => response.end(picture), '127.0.0.2');
  const v6 = await serve((_request, response) => response.end(picture), '::1').catch(() => undefined);
  if (!v6) console.log('This machine has no ::1, so its canary is not started.');
  const v4Hosts = [
    '127.0.0.2',
    '2130706434',
    '0x7f000002',
    '0177.0.0.2',
    '127.2',
    '127.0.0.2.',
    '１２７.0.0.2',
  ];
  const v6Hosts = [
    '[::ffff:127.0.0.2]',
    '[::ffff:7f00:2]',
    '[::127.0.0.2]',
    '[64:ff9b::7f00:2]',
    '0.0.0.0',
    '[::]',
  ];
  const loopbackV6Urls = ['[::1]', '[0:0:0:0:0:0:0:1]'].map(
    (host) => `http://${host}:${v6?.port ?? 80}/a.jpg`,
  );
  return {
    port: v4.port,
    targets: [
      ...[...v4Hosts, ...v6Hosts].map((host) => `http://${host}:${v4.port}/a.jpg`),
      ...loopbackV6Urls,
    ],
    countConnections: () => v4.countConnections() + (v6?.countConnections() ?? 0),
    async close() {
      await Promise.all([v4.close(), v6?.close()]);
    },
  };
}
