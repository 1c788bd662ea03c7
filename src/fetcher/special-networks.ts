/** A network outside the public internet, or a network through which private networks can be reached. */
interface SpecialNetwork {
  /** CIDR notation. */
  readonly network: string;
  /** Completes the sentence "the address is …". */
  readonly description: string;
}

/**
 * IANA's special-purpose networks, multicast, and the addresses at which cloud providers serve a virtual machine's
 * credentials. A network is listed before any larger network that contains it, so that the log shows the most specific
 * match.
 */
export const specialNetworks: readonly SpecialNetwork[] = [
  ...describe('a cloud metadata address', [
    '169.254.169.254/32',
    '168.63.129.16/32',
    '100.100.100.200/32',
    '192.0.0.192/32',
    'fd00:ec2::254/128',
  ]),
  ...describe('a loopback address', ['127.0.0.0/8', '::1/128']),
  ...describe('an unspecified address', ['0.0.0.0/8', '::/128']),
  ...describe('a private address', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  ...describe('a carrier-grade NAT address', ['100.64.0.0/10']),
  ...describe('a link-local address', ['169.254.0.0/16', 'fe80::/10']),
  ...describe('a site-local address', ['fec0::/10']),
  ...describe('reserved for protocol assignments', ['192.0.0.0/24', '2001::/23']),
  ...describe('a documentation address', [
    '192.0.2.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '2001:db8::/32',
    '3fff::/20',
  ]),
  ...describe('a benchmarking address', ['198.18.0.0/15']),
  ...describe('an AS112 address (reverse DNS of private addresses)', [
    '192.31.196.0/24',
    '192.175.48.0/24',
    '2620:4f:8000::/48',
  ]),
  ...describe('an AMT relay address', ['192.52.193.0/24']),
  ...describe('a 6to4 address', ['192.88.99.0/24', '2002::/16']),
  ...describe('the broadcast address', ['255.255.255.255/32']),
  ...describe('a multicast address', ['224.0.0.0/4', 'ff00::/8']),
  ...describe('a reserved address', ['240.0.0.0/4', '5f00::/16']),
  ...describe('a discard-only address', ['100::/64', '100:0:0:1::/64']),
  ...describe('an IPv6 address with an embedded IPv4 address', [
    '::ffff:0:0/96',
    '::ffff:0:0:0/96',
    '::/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
  ]),
];

function describe(description: string, networks: readonly string[]): SpecialNetwork[] {
  return networks.map((network) => ({ network, description }));
}
