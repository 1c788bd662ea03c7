import { BlockList, isIPv6 } from 'node:net';

/** Whether an address, as a socket has it, is one of a group. */
export type AddressTest = (address: string) => boolean;

/** The addresses in networks of CIDR notation; IPv4 inside IPv6 counts as IPv4. */
export function addressesIn(networks: readonly string[]): AddressTest {
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits] = network.split('/');
    list.addSubnet(base, Number(bits), isIPv6(base) ? 'ipv6' : 'ipv4');
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** This machine. */
export const loopbackNetworks: readonly string[] = ['127.0.0.0/8', '::1/128'];
