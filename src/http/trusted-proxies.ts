import { BlockList, isIP } from 'node:net';

/** This machine, in CIDR notation: connections from it come from a local proxy or from the operator. */
export const loopbackNetworks = ['127.0.0.0/8', '::1/128'] as const;

/** Whether an address, as reported by a socket, is in a group. */
export type AddressTest = (address: string) => boolean;

/**
 * Whether an address is in one of `networks`, in CIDR notation. IPv4-mapped IPv6 counts as IPv4; other text never
 * matches.
 */
export function addressesIn(networks: readonly string[]): AddressTest {
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits] = network.split('/');
    list.addSubnet(base, Number(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4');
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}
