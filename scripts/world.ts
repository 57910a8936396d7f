/**
 * `node scripts/world.ts`: draws the map of the explorer's page anew, src/explorer/page/world.json. Run it when the borders of world-atlas
 * (Natural Earth, public domain) have changed; the page itself needs none of the packages used here.
 *
 * Shapes are those of the coarse map; what is too small for it (Singapore, Malta) is a point where the fine map has it.
 */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type GeoPermissibleObjects, geoArea, geoEqualEarth, geoPath } from 'd3-geo'
import countries from 'i18n-iso-countries'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'

const WIDTH = 960
/** A pixel on a wide screen; what is finer doubles the page. */
const DIGITS = 0
/** In square radians: about the size of Cyprus on the globe. Smaller ones are drawn as points. */
const SMALL = 2.5e-4

const require = createRequire(import.meta.url)
const worldOf = (scale: string) => {
  const topology = require(`world-atlas/countries-${scale}.json`) as Topology<{ countries: GeometryCollection<{ name: string }> }>
  return feature(topology, topology.objects.countries).features.filter(({ properties }) => properties.name !== 'Antarctica')
}
const [coarse, fine] = [worldOf('110m'), worldOf('50m')]
/** Lower-case ISO 3166 code; undefined for what has none. Natural Earth gives Kosovo no number. */
const codeOf = ({ id, properties }: (typeof fine)[number]): string | undefined =>
  properties.name === 'Kosovo' ? 'xk' : id === undefined ? undefined : countries.numericToAlpha2(String(id).padStart(3, '0'))?.toLowerCase()

const whole: GeoPermissibleObjects = { type: 'FeatureCollection', features: coarse }
const projection = geoEqualEarth().fitWidth(WIDTH, whole)
const path = geoPath(projection).digits(DIGITS)
const height = Math.ceil(path.bounds(whole)[1][1])
const round = (value: number) => Number(value.toFixed(DIGITS))

const shapes = new Map(coarse.map((country) => [codeOf(country), path(country) ?? '']))
/** Islands far away have the code of their country; the largest part says where it is. */
const largestFirst = fine.toSorted((a, b) => geoArea(b) - geoArea(a))
const parts = largestFirst.filter((country, i) => largestFirst.findIndex((other) => codeOf(other) === codeOf(country)) === i)
const drawn = parts.flatMap((country) => {
  const code = codeOf(country)
  const at = path.centroid(country).map(round)
  if (code === undefined || at.some(Number.isNaN)) return []
  return [[code, { at, ...(shapes.has(code) && geoArea(country) > SMALL ? { shape: shapes.get(code) } : {}) }] as const]
})
const world = {
  width: WIDTH,
  height,
  /** Borders without a code of their own: drawn, and nobody's. */
  nobody: coarse.filter((country) => codeOf(country) === undefined).map((country) => path(country) ?? ''),
  countries: Object.fromEntries(drawn.sort(([a], [b]) => (a < b ? -1 : 1))),
}
const target = join(import.meta.dirname, '..', 'src', 'explorer', 'page', 'world.json')
writeFileSync(target, `${JSON.stringify(world)}\n`)
console.log(`${target}: ${drawn.length} countries, ${drawn.filter(([, { shape }]) => shape !== undefined).length} with a shape`)
