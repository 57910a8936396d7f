/**
 * Page: what a person sees at the address of the explorer.
 *
 * The rule it keeps: it shows nothing but what the API answers, and every number on it leads to the answer it comes from. It is made here as
 * one document without a script, so that it is there at once, works in every browser, and nothing of it has to be trusted.
 *
 * Start reading at {@link page}; then map.ts and chart.ts (how things are drawn), html.ts (what keeps foreign text from becoming markup).
 */
import { createHash } from 'node:crypto'
import type { PublicApi } from '../api/app.ts'
import { events as eventsRoute } from '../api/events.ts'
import { burns, measureSeries, supply as supplyRoute } from '../api/money.ts'
import { nodes as nodesRoute } from '../api/nodes.ts'
import { prices as pricesRoute, regions as regionsRoute } from '../api/prices.ts'
import { type AnswerOf, pathOf, type Shown } from '../api/route.ts'
import { votes as votesRoute } from '../api/votes.ts'
import { chart } from './chart.ts'
import { type Html, html, type Part } from './html.ts'
import { worldMap } from './map.ts'
import { STYLE } from './style.ts'
import { ago, count, countryName, dollars, price, shortHex, utc, way } from './words.ts'

/** Times a reader can choose, and the points a chart of them has. */
export const RANGES = {
  hour: { label: '1 hour', step: 'minute', stepS: 60, points: 60 },
  day: { label: '1 day', step: 'hour', stepS: 3_600, points: 24 },
  month: { label: '30 days', step: 'day', stepS: 86_400, points: 30 },
  year: { label: '1 year', step: 'week', stepS: 604_800, points: 52 },
} as const
export type Range = keyof typeof RANGES

/** What the page says of the explorer itself. */
export interface Health {
  readonly ok: boolean
  readonly lagBlocks: number | null
}

/** Rows of the lists: a look, not the whole. */
const ROWS = 12

/** Nothing but this sheet and the picture in the tab is loaded, and nothing runs. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const ICON = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#1a6fbf"/><path d="M3 10c3-6 7 2 10-4" fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/></svg>')}`

export async function page({ ask }: Pick<PublicApi, 'ask'>, health: Health, range: Range, nowS: number): Promise<string> {
  const { step, stepS, points } = RANGES[range]
  const newest = Math.floor(nowS / stepS) * stepS
  const series = { step, from: newest - (points - 1) * stepS, to: newest }
  const [regions, prices, supply, claimed, burnt, nodes, votes, events] = await Promise.all([
    ask(regionsRoute),
    ask(pricesRoute, series),
    ask(supplyRoute, series),
    ask({ ...measureSeries, path: '/v1/measures/claimed' }, { unit: 'dollar', ...series }),
    ask(burns, { limit: 1 }),
    ask(nodesRoute, { limit: ROWS }),
    ask(votesRoute, { limit: 5 }),
    ask(eventsRoute, { limit: ROWS }),
  ])
  const at = regions.answer.asOf
  const inStep = health.ok
    ? 'in step with the chain'
    : health.lagBlocks === null
      ? 'the chain is out of sight'
      : `${count(health.lagBlocks)} blocks behind`
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Byway explorer</title><meta name="description" content="Nodes, prices, supply and votes of an open exchange for internet bandwidth.">
<link rel="icon" href="${ICON}"><style>${raw(STYLE)}</style></head><body>
<a class="skip" href="#main">Skip to the numbers</a>
<header><div><h1>Byway explorer</h1><p class="lead">An open exchange for internet bandwidth. Every number leads to the answer of the API it comes from.</p></div>
<p class="state"><a href="/v1/health"><span class="dot${health.ok ? '' : ' late'}"></span>${at === null ? 'no block read yet' : `block ${count(at.block)}`}</a>${at !== null && `, ${ago(at.timeS, nowS)}`}, ${inStep}</p></header>
<main id="main">
${tiles(regions, supply, claimed, burnt)}
<section class="card"><div class="top"><h2>Nodes by country</h2>${source(regions.href)}</div>${where(regions)}</section>
${ranges(range)}
<div class="grid2">
${card('Price per GiB', prices.href, priceChart(prices.answer))}
${card('Paid for traffic', claimed.href, paidChart(claimed.answer))}
${card('WAY there is', supply.href, supplyChart(supply.answer))}
${card('Minted and burnt', supply.href, burnChart(supply.answer))}
</div>
<section class="card"><div class="top"><h2>Nodes</h2>${source(nodes.href)}</div>${nodeTable(nodes.answer)}</section>
<div class="grid2">
${card('Votes', votes.href, voteTable(votes.answer))}
${card('What contracts said last', events.href, eventTable(events.answer, nowS))}
</div></main>
<footer><p>Public data from the chain and from signed offers; this page adds nothing to it. <a href="/openapi.json">The API</a> answers everybody. To check
it, run your own: <code>npx byway explore</code>.</p></footer></body></html>`.text
}

/** Text of ours that is no text but a part of the document. */
const raw = (text: string): Html => html([text] as unknown as TemplateStringsArray)

const source = (href: string): Html => html`<a class="source" href="${href}">API answer</a>`
const card = (title: string, href: string, content: Part): Html =>
  html`<section class="card"><div class="top"><h2>${title}</h2>${source(href)}</div>${content}</section>`

function tiles(
  regions: Shown<AnswerOf<typeof regionsRoute>>,
  supply: Shown<AnswerOf<typeof supplyRoute>>,
  claimed: Shown<AnswerOf<typeof measureSeries>>,
  burnt: Shown<AnswerOf<typeof burns>>,
): Html {
  const { countries } = regions.answer
  const nodes = countries.reduce((sum, country) => sum + country.nodes, 0)
  const cheapest = countries
    .map(({ pricePerGib }) => BigInt(pricePerGib.low))
    .reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
  const rows = [
    [count(nodes), nodes === 1 ? 'node sells' : 'nodes sell', regions.href],
    [count(countries.length), countries.length === 1 ? 'country' : 'countries', regions.href],
    [cheapest === undefined ? 'none' : price(cheapest), 'lowest price per GiB', regions.href],
    [dollars(claimed.answer.total), 'paid for traffic', claimed.href],
    [way(supply.answer.supply), 'WAY there is', supply.href],
    [way(burnt.answer.burnt), 'WAY burnt', burnt.href],
  ] as const
  return html`<ul class="tiles">${rows.map(([number, label, href]) => html`<li><a href="${href}"><b>${number}</b><span>${label}</span></a></li>`)}</ul>`
}

function where({ answer: { countries } }: Shown<AnswerOf<typeof regionsRoute>>): Html {
  const sorted = countries.toSorted((a, b) => b.nodes - a.nodes || (a.country < b.country ? -1 : 1))
  const hrefOf = (country: string) => pathOf(nodesRoute, { country })
  const most = sorted[0]?.nodes ?? 1
  const map = worldMap(
    sorted.map(({ country, nodes, pricePerGib }) => ({ country, nodes, median: pricePerGib.median, href: hrefOf(country) })),
  )
  if (sorted.length === 0) return html`${map}<p class="nothing">Nobody sells at the moment.</p>`
  return html`${map}<div class="scroll"><table><thead><tr><th>Country</th><th class="n">Nodes</th><th class="wide"></th><th class="n wide">Lowest price</th><th class="n">Median price</th><th class="n wide">Highest price</th></tr></thead><tbody>
${sorted.slice(0, ROWS).map(
  ({
    country,
    nodes,
    pricePerGib: { low, median, high },
  }) => html`<tr><td><a href="${hrefOf(country)}">${countryName(country)}</a></td><td class="n">${count(nodes)}</td>
<td class="wide"><svg class="bar" viewBox="0 0 80 9" aria-hidden="true"><rect width="${Math.max(2, Math.round((80 * nodes) / most))}" height="9" rx="3"/></svg></td><td class="n wide">${price(low)}</td><td class="n">${price(median)}</td><td class="n wide">${price(high)}</td></tr>`,
)}</tbody></table></div>${sorted.length > ROWS && html`<p class="nothing">and ${count(sorted.length - ROWS)} more countries</p>`}`
}

const ranges = (chosen: Range): Html =>
  html`<nav class="range" aria-label="Time shown"><span>Time shown</span>${Object.entries(RANGES).map(
    ([name, { label }]) => html`<a href="/?range=${name}"${name === chosen && html` aria-current="page"`}>${label}</a>`,
  )}</nav>`

const inDollars = (units: string): number => Number(units) / 1e6
const inWay = (units: string): number => Number(BigInt(units) / 10n ** 12n) / 1e6
const showDollars = (value: number): string => (value >= 1_000 ? dollars(BigInt(Math.round(value * 1e6))) : `$${Number(value.toFixed(4))}`)
const showWay = (value: number): string => way(BigInt(Math.round(value * 1e6)) * 10n ** 12n)

function priceChart({ points, stepS }: AnswerOf<typeof pricesRoute>): Html {
  const values = points.map(({ pricePerGib }) => (pricePerGib === null ? undefined : inDollars(pricePerGib.median)))
  const band = points.map(({ pricePerGib }) =>
    pricePerGib === null ? undefined : ([inDollars(pricePerGib.low), inDollars(pricePerGib.high)] as const),
  )
  return chart({
    title: 'What nodes asked per GiB',
    times: points.map(({ timeS }) => timeS),
    stepS,
    lines: [{ name: 'a', label: 'median', values }],
    band: { label: 'from the cheapest to the dearest tenth', values: band },
    fromZero: true,
    show: showDollars,
  })
}

function paidChart({ points, stepS }: AnswerOf<typeof measureSeries>): Html {
  return chart({
    title: 'Dollars paid for traffic',
    times: points.map(({ timeS }) => timeS),
    stepS,
    bars: [{ name: 'c', label: 'claimed on chain', values: points.map(({ amount }) => inDollars(amount)) }],
    fromZero: true,
    show: showDollars,
  })
}

function supplyChart({ points, stepS }: AnswerOf<typeof supplyRoute>): Html {
  return chart({
    title: 'WAY there is',
    times: points.map(({ timeS }) => timeS),
    stepS,
    lines: [{ name: 'a', label: 'supply', values: points.map(({ supply }) => (supply === '0' ? undefined : inWay(supply))) }],
    fromZero: false,
    show: showWay,
  })
}

function burnChart({ points, stepS }: AnswerOf<typeof supplyRoute>): Html {
  return chart({
    title: 'WAY minted and burnt',
    times: points.map(({ timeS }) => timeS),
    stepS,
    bars: [
      { name: 'a', label: 'minted', values: points.map(({ minted }) => inWay(minted)) },
      { name: 'b', label: 'burnt', values: points.map(({ burnt }) => inWay(burnt)) },
    ],
    fromZero: true,
    show: showWay,
  })
}

function nodeTable({ nodes, next }: AnswerOf<typeof nodesRoute>): Html {
  if (nodes.length === 0) return html`<p class="nothing">Nobody sells at the moment.</p>`
  return html`<div class="scroll"><table><thead><tr><th>Node</th><th>Country</th><th>Tier</th><th class="n">Per GiB</th><th class="n">Was paid</th><th class="n">Stake</th><th class="n">Proven</th><th class="n">Score</th><th>Reached by</th></tr></thead><tbody>
${nodes.map(
  ({ node, country, tier, pricePerGib, operator, score, evidence: { claimed, staked, provenMbps }, ways }) =>
    html`<tr><td><a href="/v1/nodes/${node}"><code>${shortHex(node)}</code></a></td><td>${countryName(country)}</td><td>${tier}</td><td class="n">${price(pricePerGib)}</td><td class="n">${dollars(claimed)}</td><td class="n">${staked === '0' ? 'none' : `${way(staked)} WAY`}</td><td class="n">${provenMbps === null ? 'not yet' : `${count(provenMbps)} Mbit/s`}</td><td class="n">${operator === null || score === null ? 'no stake' : html`<a href="/v1/scores/${operator.address}">${score.toFixed(2)}</a>`}</td><td>${ways.join(', ')}</td></tr>`,
)}</tbody></table></div>${next !== null && html`<p class="nothing"><a href="${pathOf(nodesRoute, { limit: 200 })}">More nodes</a></p>`}`
}

function voteTable({ proposals }: AnswerOf<typeof votesRoute>): Html {
  if (proposals.length === 0) return html`<p class="nothing">Nothing was proposed yet.</p>`
  return html`<div class="scroll"><table><thead><tr><th>Proposal</th><th>State</th><th class="n">For</th><th class="n">Against</th></tr></thead><tbody>
${proposals.map(
  ({ id, description, state, inFavour, against }) =>
    html`<tr><td><a href="/v1/votes/${id}">${description.trim().slice(0, 60) || 'without a word'}</a></td><td>${state}</td><td class="n">${way(inFavour)}</td><td class="n">${way(against)}</td></tr>`,
)}</tbody></table></div>`
}

function eventTable({ events }: AnswerOf<typeof eventsRoute>, nowS: number): Html {
  if (events.length === 0) return html`<p class="nothing">No contract said anything yet.</p>`
  return html`<div class="scroll"><table><thead><tr><th>Contract</th><th>Event</th><th class="n">Block</th><th class="n">When</th></tr></thead><tbody>
${events.map(
  ({ contract, name, block, timeS }) =>
    html`<tr><td>${contract}</td><td><a href="${pathOf(eventsRoute, { contract, name })}">${name}</a></td><td class="n">${count(block)}</td><td class="n"><span title="${utc(timeS)}">${ago(timeS, nowS)}</span></td></tr>`,
)}</tbody></table></div>`
}
