/** A network, exempt from the rules for addresses and ports that imports by URL obey. */
export interface AllowedNetwork {
  /** CIDR notation. */
  readonly network: string;
  /** The only port that may be reached there; `undefined` for every port. */
  readonly port: number | undefined;
}
