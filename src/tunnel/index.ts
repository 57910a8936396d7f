/**
 * Tunnel: carries bytes between two nodes inside TLS 1.3, and from the exit to the destination.
 *
 * The rule it keeps: what goes in at one end comes out at the other, unchanged and in order, with half-close, reset and back-pressure
 * intact, in memory that does not grow. It counts payload bytes and knows nothing of money: whoever owns a flow may hold it back.
 *
 * Start reading at link.ts (frames on one TLS connection), then flow.ts (one flow on a link), listen.ts and connect.ts (the two ends),
 * egress/ (what an exit may reach). The seam for a faster transport is {@link Wire}: what a link needs from a TLS connection.
 */
export { type Certificate, createCertificate } from './certificate.ts'
export { connectLink } from './connect.ts'
export { FlowStream } from './flow.ts'
export { Link, type LinkEvents, type Wire } from './link.ts'
export { listenTls, type TlsListener } from './listen.ts'
export { type Gate, splice } from './splice.ts'
