/** What may precede and follow the colon of `host:port`; never user names, paths or queries. */
const authority = /^[^\s/?#@\\]+$/;

/**
 * The host of `text`, which is `host` or `host:port`, as browsers spell it: lower case, IPv4 addresses in four decimal
 * parts, IPv6 addresses shortened and without brackets, no final dot. `undefined` when it is no host.
 */
export function parseHost(text: string): string | undefined {
  if (!authority.test(text)) return undefined;
  const url = URL.parse(`http://${text}`);
  return url?.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** How the URL standard writes every IPv4 address; a name never ends in a number. */
const ipv4 = /^\d+\.\d+\.\d+\.\d+$/;

/** Whether a host of `parseHost` is an IP address. */
export function isAddress(host: string): boolean {
  return host.includes(':') || ipv4.test(host);
}

/** Whether a host of `parseHost` names this machine alone, by name or by address. */
export function isLoopbackHost(host: string): boolean {
  if (ipv4.test(host)) return host.startsWith('127.');
  // The last one is IPv4 loopback inside IPv6.
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('::ffff:7f')
  );
}
