/** The same network of real libp2p nodes: each with a key, a port and an address of its own in 127.0.0.0/8, all in this process. */
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import type { Net } from '../../src/discovery/libp2p/courier.ts'
import type { Contact } from '../../src/discovery/libp2p/messages.ts'
import { createNet, type Libp2pNet } from '../../src/discovery/libp2p/net.ts'
import { placeOfShelf, shelvesOf } from '../../src/discovery/libp2p/shelves.ts'
import { OfferStore } from '../../src/discovery/libp2p/store.ts'
import { HERE } from '../../src/discovery/libp2p/testing.ts'
import { toHex } from '../../src/protocol/bytes.ts'
import { systemClock } from '../../src/protocol/clock.ts'
import { type Attack, COUNTRY, grind } from './attack.ts'
import { type Answering, groupsOf, honestAnswers, type Member, type Network, sybilAnswers } from './network.ts'

const PORT = 14_434
/** Introduced to this many others at its start; the rest of its table comes from kad-dht. */
const INTRODUCED = 12
/** Tables are filled by then: the first queries for oneself run after a second. */
const SETTLE_MS = 20_000

export async function overTcp({ honest, sybils, addresses, defended }: Attack): Promise<Network> {
  const nets: Libp2pNet[] = []
  const start = async (host: string, seed: Uint8Array, answer: (net: Libp2pNet) => Answering): Promise<Libp2pNet> => {
    let answering: Answering | undefined
    const net = await createNet({
      reachable: HERE,
      groupsOf: defended ? groupsOf : () => undefined,
      localAddress: host,
      onMalformed: () => {},
      serve: { listen: { host, port: PORT }, announce: host, upnp: false, seed, answer: (...question) => answering?.(...question) },
    })
    answering = answer(net)
    nets.push(net)
    return net
  }
  const known: Contact[] = []
  const introduce = async (net: Libp2pNet) => {
    const all = known.filter(({ key }) => key !== net.own()!.key)
    for (let i = 0; i < Math.min(INTRODUCED, all.length); i++) {
      const { host, port } = all[randomBytes(2).readUInt16BE() % all.length]!
      await net.meet({ host, port }).catch(() => {})
    }
    known.push(net.own()!)
  }
  const members: Member[] = []
  for (let i = 0; i < honest; i++) {
    let answer: Answering = () => undefined
    const host = `127.${1 + (i % 120)}.${i}.1`
    const net = await start(
      host,
      randomBytes(32),
      (own) => (answer = honestAnswers(new OfferStore(systemClock), (...near) => own.nearest(...near))),
    )
    await introduce(net)
    members.push({ contact: net.own()!, answer, net })
  }
  const target = placeOfShelf(shelvesOf(COUNTRY)[0]!)
  const seeds = grind(target, sybils, makeKey)
  const ring: Contact[] = []
  for (const [i, { seed }] of seeds.entries()) {
    const host = addresses === 'one subnet' ? `127.250.9.${1 + i}` : `127.${130 + i}.9.9`
    const net = await start(host, seed, () => sybilAnswers(() => ring))
    ring.push(net.own()!)
    // It says hello to everybody.
    for (const { contact } of members) await net.meet(contact).catch(() => {})
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  const consumer = await createNet({ reachable: HERE, groupsOf, localAddress: '127.0.0.9', onMalformed: () => {} })
  nets.push(consumer)
  const net: Net = { ask: (...of) => consumer.ask(...of), nearest: () => [] }
  return { honest: members, net, close: async () => void (await Promise.all(nets.map((each) => each.close()))) }
}

interface Ground {
  key: Contact['key']
  seed: Uint8Array
}

/** RFC 8410: what stands before the 32 bytes of an Ed25519 private key in PKCS #8. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A real key, as libp2p makes it of its seed. */
function makeKey(): Ground {
  const seed = randomBytes(32)
  const key = createPublicKey(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' }))
  return { key: toHex(key.export({ format: 'der', type: 'spki' }).subarray(-32)), seed }
}
