import { BlockList, isIP } from 'node:net';

/** This machine, in CIDR notation: what connects from here is a proxy in front, or the operator. */
export const loopbackNetworks = ['127.0.0.0/8', '::1/128'] as const;

/** Whether an address, as a socket has it, is one of a group. */
export type AddressTest = (address: string) => boolean;

/** Whether an address lies in one of `networks`, in CIDR notation. IPv4 inside IPv6 counts as IPv4; other text lies nowhere. */
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
