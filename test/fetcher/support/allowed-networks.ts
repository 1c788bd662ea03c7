/** Returns rules that allow every port of these networks. */
export function makeRules(...networks: readonly string[]) {
  return { allowedNetworks: networks.map((network) => ({ network, port: undefined })) };
}
