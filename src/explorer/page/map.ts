/** The world as SVG, each country as dark as it has nodes. */
import { readFileSync } from 'node:fs'
import { type Html, html } from './html.ts'
import { count, countryName, price } from './words.ts'

interface World {
  width: number
  height: number
  nobody: string[]
  countries: Record<string, { at: [number, number]; shape?: string }>
}

/** Drawn by scripts/world.ts. */
const world = JSON.parse(readFileSync(new URL('./world.json', import.meta.url), 'utf8')) as World

/** Codes of all countries there are. */
export const COUNTRIES = Object.keys(world.countries)

export interface CountryOnMap {
  readonly country: string
  readonly nodes: number
  readonly median: string
  readonly href: string
}

/** Shades there are for countries with nodes. */
const SHADES = 5

export function worldMap(countries: readonly CountryOnMap[]): Html {
  const most = Math.max(1, ...countries.map(({ nodes }) => nodes))
  // By the logarithm: a country with a thousand nodes leaves one with three visible.
  const shade = (nodes: number) => (most === 1 ? SHADES : 1 + Math.round(((SHADES - 1) * Math.log(nodes)) / Math.log(most)))
  const there = new Map(countries.map((each) => [each.country, each]))
  const empty = Object.entries(world.countries).flatMap(([code, { shape }]) => (there.has(code) || shape === undefined ? [] : [shape]))
  const shown = countries.flatMap((each) => {
    const place = world.countries[each.country]
    if (place === undefined) return []
    const says = `${countryName(each.country)}: ${count(each.nodes)} ${each.nodes === 1 ? 'node' : 'nodes'}, median ${price(each.median)} per GiB`
    const form =
      place.shape === undefined ? html`<circle cx="${place.at[0]}" cy="${place.at[1]}" r="7"/>` : html`<path d="${place.shape}"/>`
    return [html`<a href="${each.href}" class="shade${shade(each.nodes)}"><title>${says}</title>${form}</a>`]
  })
  return html`<svg class="world" viewBox="0 0 ${world.width} ${world.height}" role="group" aria-label="Map of the world: ${count(shown.length)} countries with nodes">
<path class="empty" d="${[...empty, ...world.nobody].join('')}"/>${shown}</svg>`
}
