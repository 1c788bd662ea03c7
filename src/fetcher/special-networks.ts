/** A network that is not part of the public internet, or whose addresses lead back into private networks. */
interface SpecialNetwork {
  /** CIDR notation. */
  readonly network: string;
  /** Worded to follow "it belongs to". */
  readonly description: string;
}

/**
 * IANA's special-purpose registries for IPv4 and IPv6, multicast, and the addresses on which clouds serve the credentials
 * of their machines. Narrow networks precede the wide ones that contain them, so that messages name the narrow one.
 */
export const specialNetworks: readonly SpecialNetwork[] = [
  ...named('the metadata services of clouds', [
    '169.254.169.254/32',
    '168.63.129.16/32',
    '100.100.100.200/32',
    '192.0.0.192/32',
    'fd00:ec2::254/128',
  ]),
  ...named('the loopback addresses', ['127.0.0.0/8', '::1/128']),
  ...named('the unspecified addresses', ['0.0.0.0/8', '::/128']),
  ...named('a private network', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  ...named('a carrier-grade NAT network', ['100.64.0.0/10']),
  ...named('a link-local network', ['169.254.0.0/16', 'fe80::/10']),
  ...named('a site-local network', ['fec0::/10']),
  ...named('a network for protocol assignments', ['192.0.0.0/24', '2001::/23']),
  ...named('a network for documentation', [
    '192.0.2.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '2001:db8::/32',
    '3fff::/20',
  ]),
  ...named('a network for benchmarks', ['198.18.0.0/15']),
  ...named('an AS112 network (name servers for private addresses)', [
    '192.31.196.0/24',
    '192.175.48.0/24',
    '2620:4f:8000::/48',
  ]),
  ...named('a network of AMT multicast relays', ['192.52.193.0/24']),
  ...named('a network of 6to4 relays', ['192.88.99.0/24', '2002::/16']),
  ...named('the broadcast address', ['255.255.255.255/32']),
  ...named('a multicast network', ['224.0.0.0/4', 'ff00::/8']),
  ...named('a reserved network', ['240.0.0.0/4', '5f00::/16']),
  ...named('a discard-only network', ['100::/64', '100:0:0:1::/64']),
  ...named('the IPv4 addresses embedded in IPv6', [
    '::ffff:0:0/96',
    '::ffff:0:0:0/96',
    '::/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
  ]),
];

function named(description: string, networks: readonly string[]): SpecialNetwork[] {
  return networks.map((network) => ({ network, description }));
}
