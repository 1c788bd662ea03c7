import { BlockList, isIP } from 'node:net';

/**
 * Whether a peer is a proxy whose `X-Forwarded-For` is believed: one of this machine, or of `networks` in CIDR notation.
 * Nobody else is, since every client can send that header.
 */
export function makeIsTrustedProxy(networks: readonly string[]): (address: string) => boolean {
  const trusted = new BlockList();
  for (const network of ['127.0.0.0/8', '::1/128', ...networks]) {
    const [base = '', bits] = network.split('/');
    trusted.addSubnet(base, Number(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4');
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && trusted.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}
