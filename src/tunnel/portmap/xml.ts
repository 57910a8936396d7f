/**
 * Just enough XML to read what routers send: the text between tags, found by searching, never by a grammar.
 *
 * No entities but the five, no attributes, no nesting of equal names: UPnP descriptions and SOAP answers need none. Work is linear in the
 * text, whose length the caller has bounded.
 */

/** Inner text of each `<name>…</name>`, in order. A prefix (`u:name`) and attributes are stepped over. At most `limit`. */
export function elements(xml: string, name: string, limit = 64): string[] {
  const found: string[] = []
  const opening = new RegExp(`<(?:[A-Za-z][\\w.-]{0,31}:)?${name}(?:\\s[^<>]{0,512})?>`, 'g')
  const closing = new RegExp(`</(?:[A-Za-z][\\w.-]{0,31}:)?${name}\\s{0,8}>`, 'g')
  for (let match = opening.exec(xml); match !== null && found.length < limit; match = opening.exec(xml)) {
    closing.lastIndex = opening.lastIndex
    const end = closing.exec(xml)
    if (end === null) break
    found.push(xml.slice(opening.lastIndex, end.index))
    opening.lastIndex = closing.lastIndex
  }
  return found
}

/** Text of the first element of this name, without the spaces around it. */
export function textOf(xml: string, name: string): string | undefined {
  const inner = elements(xml, name, 1)[0]
  return inner === undefined ? undefined : unescaped(inner.trim())
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const unescaped = (text: string) => text.replace(/&(amp|lt|gt|quot|apos);/g, (_all, name: string) => ENTITIES[name]!)

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
