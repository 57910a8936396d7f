/** JSON as Byway writes it everywhere: on the local API, in the log, and under `--json`. */

/** One line; money and counts beyond a double travel as decimal strings. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item)) ?? 'null'
}

/**
 * Text that may have come from a peer, made safe for a terminal: no control or invisible characters, so it can neither move the cursor
 * nor pretend to be another line.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}

/** RPC services put the customer's key in the path of the address, and their libraries put the address in the message. */
export function withoutUrlPaths(text: string): string {
  return text.replace(/\b(https?|wss?):\/\/[^\s"'<>]+/gi, (found) => (URL.canParse(found) ? `${new URL(found).origin}/***` : '***'))
}
