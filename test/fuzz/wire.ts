/**
 * Malformed input for everything a node reads besides its proxy: frames, messages, flows, offers, claim orders, config.toml, journals.
 *
 *   node test/fuzz/wire.ts --inputs 200000 --seed 7 [--target offer]
 *
 * Inputs are damaged recordings (record.ts; frames.ts has those of the wire itself). Only errors of the parser's own codes may come out. Where it makes sense a target also checks
 * that what was accepted reads the same again: in other pieces, or written back.
 */
import { createPrivateKey, sign } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { Command } from 'commander'
import { readOrder } from '../../src/cli/claim-order.ts'
import { addSettings, parseConfig, resolveSettings } from '../../src/cli/resolve.ts'
import { keysOf } from '../../src/cli/settings.ts'
import type { ErrorCode } from '../../src/protocol/errors.ts'
import { decodeOffer, encodeOffer, readOffer, readOfferText } from '../../src/protocol/offer.ts'
import { FakeDisk } from '../../src/wallet/fake-disk.ts'
import { Journal, readJournal } from '../../src/wallet/journal.ts'
import type { RecordOf } from '../../src/wallet/records.ts'
import { Vault } from '../../src/wallet/vault.ts'
import { DATAGRAM_TARGETS } from './datagrams.ts'
import { FRAME_TARGETS } from './frames.ts'
import type { Random } from './mutate.ts'
import { must, NOISE, type Outcome, outcome, recording, refused } from './recording.ts'
import { ROUTER_TARGETS } from './routers.ts'
import { main, type Target } from './run.ts'
import { TUNNEL_TARGETS } from './tunnel.ts'

const OFFER_CODES: readonly ErrorCode[] = ['OFFER_MALFORMED', 'OFFER_SIGNATURE', 'OFFER_FUTURE', 'OFFER_EXPIRED']

// --- Offers ---

const NODE_KEY = createPrivateKey({ key: Buffer.from(recording.nodeKey, 'hex'), format: 'der', type: 'pkcs8' })
const SIGNATURE_BYTES = 64
const OFFER_TAG = Buffer.from('byway offer v1\0')
const offer = Buffer.from(recording.offer, 'hex')
/** A moment at which the recorded offer was good. */
const NOW_S = Number(decodeOffer(offer).body.issuedAt)

/** Half of the inputs are signed, or nothing would be looked at behind the signature. */
function signedOffer(pieces: readonly Buffer[], random: Random): Buffer {
  const said = Buffer.concat(pieces)
  if (random(2) === 0) return said
  const body = said.subarray(0, Math.max(0, said.length - SIGNATURE_BYTES))
  return Buffer.concat([body, sign(null, Buffer.concat([OFFER_TAG, body]), NODE_KEY)])
}

function takeOffer(pieces: readonly Buffer[], random: Random): Outcome {
  const said = signedOffer(pieces, random)
  return outcome(() => must(said.equals(encodeOffer(readOffer(said, NOW_S))), 'another spelling of the same offer'), OFFER_CODES)
}

// --- Files ---

const CONFIGS = [
  'price = "0.25"\nport = 4433\ncountry = "de"\nallow-private = ["10.0.0.0/8", "fd00::/8"]\n',
  '# a comment\nrpc = ["http://127.0.0.1:8545", "https://rpc.example/key"]\nchain-id = 31337\njson = true\nhost = \'::1\'\n',
  'max-price = "2.00"\ndeposit = "5"\nroot-days = 28\npassphrase-file = "~/x"\nlog-level = """debug"""\n',
].map((text) => Buffer.from(text))

const SHARE = addSettings(new Command('share'), keysOf('share')).parse([], { from: 'user' })

function takeConfig(pieces: readonly Buffer[]): Outcome {
  const text = Buffer.concat(pieces).toString()
  return outcome(() => {
    const path = '/home/x/config.toml'
    resolveSettings(SHARE, keysOf('share'), {}, { path, values: parseConfig(text, path) })
  }, ['SETTING_INVALID', 'SETTING_UNKNOWN'])
}

const JOURNAL = '/home/x/journal.jsonl'
const CRC_DIGITS = 8
const journals = recording.journals.map((text) => Buffer.from(text))

/** Writes each line's right checksum, or nothing would be looked at behind it; lines may be missing, double or out of place. */
function sealed(said: Buffer, random: Random): Buffer {
  const lines = said.toString('latin1').split('\n')
  if (random(3) === 0) lines.splice(random(lines.length), random(3))
  if (random(3) === 0) lines.splice(random(lines.length), 0, lines[random(lines.length)] ?? '')
  const seal = (line: string) => {
    const text = Buffer.from(line.slice(CRC_DIGITS + 1), 'latin1')
    return `${crc32(text).toString(16).padStart(CRC_DIGITS, '0')} ${text.toString('latin1')}\n`
  }
  return Buffer.from(
    lines
      .filter((line) => line.length > 0)
      .map(seal)
      .join(''),
    'latin1',
  )
}

/** What opened must open again, whole, with one record more. */
async function takeJournal(pieces: readonly Buffer[], random: Random): Promise<Outcome> {
  const said = Buffer.concat(pieces)
  const disk = new FakeDisk({}, new Map([[JOURNAL, random(2) === 0 ? said : sealed(said, random)]]))
  try {
    const { journal, records } = await Journal.open(disk, JOURNAL)
    await journal.append({ kind: 'started', atMs: 1 })
    await journal.close()
    const again = await readJournal(disk, JOURNAL)
    must(again!.tornBytes === 0 && again!.records.length === records.length + 1, 'the journal reads otherwise the second time')
    return 'accepted'
  } catch (error) {
    return refused(error, ['STATE_CORRUPT'])
  }
}

/** Whose journals they are, by the first line of each. */
const nodes = recording.journals.map((text) => {
  const { role, chainId, channels, token, wallet } = JSON.parse(text.slice(CRC_DIGITS + 1, text.indexOf('\n'))) as RecordOf<'genesis'>
  return { role, chainId, channels, token, wallet }
})

/** Records that are whole may still not follow one another. What a vault opened it opens again. */
async function takeVault(pieces: readonly Buffer[], random: Random): Promise<Outcome> {
  const said = sealed(Buffer.concat(pieces), random)
  const disk = new FakeDisk({}, new Map([[JOURNAL, said]]))
  const node = nodes[said.includes('"role":"provider"') ? 0 : 1]!
  const clock = { nowMs: () => 5 }
  try {
    const vault = await Vault.open(disk, JOURNAL, node, clock)
    await vault.close()
    const again = await Vault.open(disk, JOURNAL, node, clock).catch((cause: unknown) => {
      throw new Error('a vault that opened does not open again', { cause })
    })
    must(again.book.length === vault.book.length + 1, 'the book reads otherwise the second time')
    return 'accepted'
  } catch (error) {
    return refused(error, ['STATE_CORRUPT', 'STATE_OTHER_CHAIN'])
  }
}

export const TARGETS: readonly Target[] = [
  ...FRAME_TARGETS,
  ...TUNNEL_TARGETS,
  ...DATAGRAM_TARGETS,
  ...ROUTER_TARGETS,
  { name: 'offer', corpus: [offer, NOISE], take: takeOffer },
  {
    name: 'offer-text',
    corpus: [Buffer.from(`byway-offer:${offer.toString('base64url')}`)],
    take: (pieces) => outcome(() => readOfferText(Buffer.concat(pieces).toString(), NOW_S), OFFER_CODES),
  },
  {
    name: 'claim-order',
    corpus: [Buffer.from(recording.order)],
    take: (pieces) => outcome(() => readOrder(Buffer.concat(pieces).toString()), ['ARGUMENT_INVALID']),
  },
  { name: 'config', corpus: CONFIGS, take: takeConfig },
  { name: 'journal', corpus: journals, take: takeJournal },
  { name: 'vault', corpus: journals, take: takeVault },
]

if (import.meta.main) await main(TARGETS)
