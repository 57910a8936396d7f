/** Terms of a service agreement as a file that goes back and forth: written by one side, signed by both, opened by either. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { jsonText } from '../api/json.ts'
import { type AgreementTerms, metricOf } from '../chain/index.ts'
import { type Hex, toHex } from '../protocol/bytes.ts'
import { BywayError } from '../protocol/errors.ts'
import type { Owner } from './economy.ts'
import { formatDuration, formatPercent, formatTime, formatUsd, shortHex } from './format.ts'
import { readJsonFile } from './json-file.ts'
import type { Output } from './output.ts'
import { carryOut } from './signing.ts'
import { addressWord, dollarsWord, oneOfWords, percentWord, timeWord } from './words.ts'

const DAY_S = 86_400
const DAYS = 30
/** How long the other side has to sign: a day is enough to ask a person, and short enough that prices have not moved. */
const DEADLINE_S = DAY_S
const MAX_FILE_BYTES = 64 * 1024
const MAX_METRIC = 500

const hex = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`))
    .transform((text) => text as Hex)
const units = z
  .string()
  .regex(/^\d{1,28}$/)
  .transform(BigInt)
const seconds = z.int().min(0)
const termsFile = z.strictObject({
  /** What is measured, in words; the terms hold its hash. */
  metric: z.string().min(1).max(MAX_METRIC),
  terms: z.strictObject({
    consumer: hex(20),
    provider: hex(20),
    payment: units,
    bond: units,
    objective: z.int().min(1).max(10_000),
    metric: hex(32),
    start: seconds,
    end: seconds,
    nonce: units,
    deadline: seconds,
  }),
  /** Signatures by side. */
  signed: z.strictObject({ consumer: hex(64).optional(), provider: hex(64).optional() }),
})
type TermsFile = z.output<typeof termsFile>
type Side = 'consumer' | 'provider'

interface OfferOptions {
  as?: string
  with?: string
  payment?: string
  bond?: string
  objective?: string
  metric?: string
  start?: string
  days?: string
}

/** Writes the terms; nothing is signed or sent. */
export async function offerTerms(owner: Owner, command: Command, file: string | undefined, output: Output): Promise<void> {
  const options = command.opts<OfferOptions>()
  const path = fileWord(file)
  const side = oneOfWords('the side', ['consumer', 'provider'] as const, options.as ?? owner.role ?? 'consumer')
  const other = addressWord('--with', options.with)
  const nowS = await owner.economy.nowS()
  const start = options.start === undefined ? nowS : timeWord('--start', options.start)
  const metric = options.metric ?? ''
  if (metric === '' || metric.length > MAX_METRIC) {
    throw new BywayError('ARGUMENT_INVALID', 'the terms must say what is measured', {
      hint: 'add --metric, such as --metric "uptime, sampled hourly"',
    })
  }
  const terms: AgreementTerms = {
    consumer: side === 'consumer' ? owner.address : other,
    provider: side === 'provider' ? owner.address : other,
    payment: dollarsWord('--payment', options.payment),
    bond: dollarsWord('--bond', options.bond),
    objective: percentWord('--objective', options.objective),
    metric: metricOf(metric),
    start,
    end: start + Math.round(daysWord(options.days) * DAY_S),
    nonce: BigInt(toHex(randomBytes(8))),
    deadline: nowS + DEADLINE_S,
  }
  const content: TermsFile = { metric, terms, signed: {} }
  await write(path, content)
  output.result({ file: path, id: owner.economy.agreements.idOf(terms), ...content }, () => {
    for (const line of termsLines(content)) output.line(line)
    output.line(`written to ${path}; both sides sign it: \`byway sla sign ${path}\``)
  })
}

/** Adds this wallet's signature, and lets the contract take its part when the agreement is opened. */
export async function signTerms(owner: Owner, command: Command, file: string | undefined, output: Output): Promise<void> {
  const path = fileWord(file)
  const content = await read(path)
  const { terms, signed } = content
  const { agreements } = owner.economy
  const side = sideOf(owner, terms)
  await refuseLate(owner, terms)
  const part = side === 'consumer' ? terms.payment : terms.bond
  // What other agreements, signed but not open yet, will take comes on top.
  const allowed = await agreements.allowed(owner.address)
  const sent = await carryOut(owner, command, output, {
    will: [
      `sign as the ${side}:`,
      ...termsLines(content).map((line) => `  ${line}`),
      `let the contract take ${formatUsd(part)} from the wallet when it is opened`,
    ],
    notes: [
      side === 'consumer'
        ? `${formatUsd(part)} is bound until the end and up to three days after; what is not delivered comes back.`
        : `${formatUsd(part)} is bound until the end and up to three days after; at most a quarter of it is lost.`,
    ],
    actions: [agreements.allow(allowed + part)],
    facts: { id: agreements.idOf(terms), side, units: part, terms },
  })
  if (sent.length === 0) return
  await write(path, { ...content, signed: { ...signed, [side]: agreements.sign(terms, owner.wallet) } })
  output.note(`signed in ${path}`)
}

export async function openTerms(owner: Owner, command: Command, file: string | undefined, output: Output): Promise<void> {
  const content = await read(fileWord(file))
  const { terms, signed } = content
  const { agreements } = owner.economy
  await refuseLate(owner, terms)
  for (const side of ['consumer', 'provider'] as const) {
    const signature = signed[side]
    if (signature !== undefined && agreements.signedBy(terms, signature, terms[side])) continue
    throw new BywayError('SIGNATURE_MISSING', `the ${side} has not signed these terms`, {
      facts: { [side]: terms[side], signature: signature === undefined ? 'none' : 'not of these terms' },
      hint: `\`byway sla sign\` with the wallet of the ${side}`,
    })
  }
  await carryOut(owner, command, output, {
    will: ['open the agreement:', ...termsLines(content).map((line) => `  ${line}`)],
    notes: [
      `It takes ${formatUsd(terms.payment)} from the consumer and ${formatUsd(terms.bond)} from the provider.`,
      `Unless a committee reports by ${formatTime(terms.end + 3 * DAY_S)}, it counts as met.`,
    ],
    actions: [agreements.open(terms, signed.consumer!, signed.provider!)],
    facts: { id: agreements.idOf(terms), terms },
  })
}

function termsLines({ metric, terms }: TermsFile): string[] {
  const { consumer, provider, payment, bond, objective, start, end, deadline } = terms
  return [
    `${shortHex(consumer)} pays ${shortHex(provider)} ${formatUsd(payment)}; the bond of the provider is ${formatUsd(bond)}`,
    `for ${formatPercent(objective)} of ${JSON.stringify(metric)}`,
    `from ${formatTime(start)} to ${formatTime(end)} (${formatDuration((end - start) * 1000)}); to be opened by ${formatTime(deadline)}`,
  ]
}

function sideOf({ address }: Owner, terms: AgreementTerms): Side {
  if (terms.consumer === address) return 'consumer'
  if (terms.provider === address) return 'provider'
  throw new BywayError('ARGUMENT_INVALID', 'this wallet is no party of these terms', {
    facts: { wallet: address, consumer: terms.consumer, provider: terms.provider },
    hint: 'name the home of a party with --home',
  })
}

async function refuseLate({ economy }: Owner, { deadline }: AgreementTerms): Promise<void> {
  if ((await economy.nowS()) <= deadline) return
  throw new BywayError('TOO_LATE', 'these terms had to be opened before', {
    facts: { deadline: formatTime(deadline) },
    hint: 'write new ones: `byway sla offer`',
  })
}

function fileWord(file: string | undefined): string {
  if (file !== undefined) return file
  throw new BywayError('ARGUMENT_INVALID', 'the file of the terms is missing', { hint: 'for instance: byway sla sign terms.json' })
}

function daysWord(text: string | undefined): number {
  if (text === undefined) return DAYS
  const days = /^\d{1,3}(\.\d{1,6})?$/.test(text) ? Number(text) : 0
  if (days > 0 && days <= 366) return days
  throw new BywayError('ARGUMENT_INVALID', `--days cannot be read as ${JSON.stringify(text)}`, {
    hint: 'allowed: up to 366, such as 30 or 0.5',
  })
}

const write = (path: string, content: TermsFile): Promise<void> => writeFile(path, `${jsonText(content)}\n`)

async function read(path: string): Promise<TermsFile> {
  const file = await readJsonFile(path, { what: 'terms', schema: termsFile, mostBytes: MAX_FILE_BYTES })
  // Whoever signs reads the words, and signs the hash.
  if (metricOf(file.metric) === file.terms.metric) return file
  throw new BywayError('ARGUMENT_INVALID', 'the metric in words is not the one these terms hold', {
    hint: 'get the file from the other side again; somebody changed it',
  })
}
