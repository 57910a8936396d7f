import { networkInterfaces } from 'node:os'

/** Why a test that takes IPv6 is skipped; false where there is some. */
export const lacksIpv6 = (): string | false =>
  !Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1')) && 'there is no IPv6 here'
