/** A network that can fail: a few rules of nftables lose or refuse the packets of a port, in a namespace of our own. */
import { execFileSync } from 'node:child_process'
import { canEnter } from '../support/own-network.ts'

const TABLE = 'byway_chaos'
const RULES = `
table inet ${TABLE} {
  set lost { type inet_service; }
  set refused { type inet_service; }
  chain input {
    type filter hook input priority 0;
    tcp dport @lost drop
    tcp sport @lost drop
    tcp dport @refused reject with tcp reset
    tcp sport @refused reject with tcp reset
  }
}
`

/** Whether there can be such a network here. */
export const canFail = (): boolean => canEnter(['nft', '-c', '-f', '-'], RULES)

/** Inside: rules that concern no port yet. */
export function setUp(): void {
  execFileSync('nft', ['-f', '-'], { input: RULES })
}

/** Packets to and from the port are `lost`, or `refused` with a TCP reset, until the returned function is called. */
export function fail(port: number, how: 'lost' | 'refused'): () => void {
  const change = (verb: 'add' | 'delete') => execFileSync('nft', [verb, 'element', 'inet', TABLE, how, `{ ${port} }`])
  change('add')
  return () => void change('delete')
}
