/**
 * The kinds of NAT, as nftables rules. All hide the inner network behind one address; they differ in which port a connection gets outside
 * and in who may answer to it (RFC 4787, RFC 5382).
 */

/**
 * `full-cone`: keeps the port, and anyone may connect to it once it was used. `cone`: keeps the port, only those who were asked may answer
 * (what Linux routers do). `symmetric`: a random port for each connection. `mapped`: a cone whose router maps ports on request.
 */
export const ROUTER_KINDS = ['full-cone', 'cone', 'symmetric', 'mapped'] as const
export type RouterKind = (typeof ROUTER_KINDS)[number]

/** Rules for a router whose outer interface is `wan`. New connections from outside are dropped unless a rule let them in. */
export function natRules(kind: RouterKind, outer: string): string {
  const translate: Record<RouterKind, string> = {
    'full-cone': `meta l4proto tcp oifname "wan" add @cone { tcp sport : ip saddr } snat ip to ${outer}
      oifname "wan" masquerade`,
    cone: 'oifname "wan" masquerade',
    symmetric: 'oifname "wan" masquerade random,fully-random',
    mapped: 'oifname "wan" masquerade',
  }
  const cone = kind === 'full-cone'
  return `
table inet filter {
  ${cone ? 'map cone { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 5m; size 4096; }' : ''}
  chain miniupnpd {}
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct status dnat accept
    iifname "lan" accept
    jump miniupnpd
  }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "wan" ct state new drop
  }
  chain prerouting {
    type nat hook prerouting priority -100;
    ${cone ? 'iifname "wan" meta l4proto tcp dnat ip to tcp dport map @cone' : ''}
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    jump postrouting_miniupnpd
    ${translate[kind]}
  }
}`
}
