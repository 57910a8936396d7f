/**
 * Tunnel: carries bytes between two nodes inside TLS 1.3, and from the exit to the destination.
 *
 * The rule it keeps: what goes in at one end comes out at the other, unchanged and in order, with half-close, reset and back-pressure
 * intact, in memory that does not grow. It counts payload bytes and knows nothing of money: whoever owns a flow may hold it back.
 *
 * Start reading at link.ts (frames on one TLS connection), then flow.ts (one flow on a link), listen.ts and connect.ts (the two ends),
 * cover/ (what strangers see), egress/ (what an exit may reach), fast/ (the same in a thread of its own, without streams).
 */
export { type Certificate, createCertificate, ownCertificate } from './certificate.ts'
export { type ConnectOptions, connectLink } from './connect.ts'
export type { CoverAddress } from './cover/index.ts'
export { FlowStream } from './flow.ts'
export type { CountedWay } from './flow-options.ts'
export { KeepingBudget } from './keeping.ts'
export { Link, type LinkEvents, type Wire } from './link.ts'
export { listenTls, type TlsListener } from './listen.ts'
export { type Gate, splice } from './splice.ts'
