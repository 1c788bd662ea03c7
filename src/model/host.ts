/** Matches a host with an optional port, but without a user name, path or query. */
const authorityPattern = /^[^\s/?#@\\]+$/;

/**
 * Parses `host` or `host:port`. Returns the host in lower case, normalised as in browsers: IPv4 addresses have four decimal
 * parts, IPv6 addresses are shortened and have no brackets, and names have no trailing dot. Returns `undefined` for any other
 * text.
 */
export function parseHost(text: string): string | undefined {
  if (!authorityPattern.test(text)) return undefined;
  const url = URL.parse(`http://${text}`);
  return url?.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** Matches the IPv4 addresses that `parseHost` returns. Host names do not match, because they never end in a number. */
const ipv4Pattern = /^\d+\.\d+\.\d+\.\d+$/;

/** Whether a host is an IP address rather than a name. @param host a host returned by `parseHost` */
export function isIpAddress(host: string): boolean {
  return host.includes(':') || ipv4Pattern.test(host);
}

/** Whether a host is a loopback name or address. @param host a host returned by `parseHost` */
export function isLoopbackHost(host: string): boolean {
  if (ipv4Pattern.test(host)) return host.startsWith('127.');
  // `::ffff:7f…` is an IPv4-mapped loopback address.
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('::ffff:7f')
  );
}
