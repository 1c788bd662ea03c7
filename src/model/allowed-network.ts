/** A network exempt from the address and port rules of imports by URL. */
export interface AllowedNetwork {
  /** CIDR notation. */
  readonly network: string;
  /** The only allowed port; `undefined` for every port. */
  readonly port: number | undefined;
}
