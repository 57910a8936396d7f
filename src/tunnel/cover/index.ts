/**
 * Cover: what an address of a node looks like to everybody who does not know the node: an ordinary website.
 *
 * The rule it keeps: only who proves knowledge of the node key, bound to the very TLS connection it speaks on, is ever treated differently.
 * All others are joined to the cover as they are, byte for byte, so that what they see and how long it takes is the cover's own doing.
 *
 * Start reading at proof.ts (what is proved, and how it reads on the wire), then reception.ts (who is a peer and who a visitor), cover.ts
 * (where visitors go), site.ts (the built-in website), token.ts and websocket.ts (links through a proxy), padding.ts (what sizes say).
 * Spec: docs/protocol.md#cover.
 */
export { type CoverAddress, openCover } from './cover.ts'
export { coverKey } from './proof.ts'
export { joinVisitor, looksLikeHello, receivePlain, receiveTls } from './reception.ts'
export { OuterTokens } from './token.ts'
