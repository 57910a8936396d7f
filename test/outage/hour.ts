/**
 * An hour without the chain, the bootstrap node and any explorer: does what runs go on, does what is new begin, and what does the waiting cost?
 *
 *     npm run test:outage-hour [-- --minutes 60]
 *
 * A consumer holds a download open over a provider; then the chain stops answering and the bootstrap node is killed. A new session opens with another
 * provider, and so does one of a second consumer, which ran before and was stopped: offers it finds on its disk, and what it promised so far its provider
 * shows it (consumer/deposits.ts). The time is real: nothing is compressed, so fewer minutes measure a shorter outage. Needs root, nft and
 * curl. Ends with 0 only if every byte came and the control traffic is below 1 MiB.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { eventually, startExchange } from '../nat/exchange.ts'
import { sha256Of } from '../nat/stream.ts'

const BOOTSTRAP = '45.1.0.2:4434'
const HELD_BYTES = 2_000_000
const NEW_BYTES = 100_000
/** A minute's part of a MiB an hour would be less than one handshake: what begins during the outage is paid for once. */
const CONTROL_LIMIT_BYTES = 1_048_576

/** Longer than any buffer on the way needs to empty. */
const QUIET_S = 5
/** Pings of two sessions are below it, a download that runs on is far above. */
const QUIET_BYTES = 2_000

export interface HourFacts {
  minutes: number
  /** Through the consumer's interface during the outage, without the requests made then. */
  controlBytes: number
  newSessions: number
}

export async function runHour(minutes: number, note: (text: string) => void): Promise<HourFacts> {
  const exchange = await startExchange({ BYWAY_DISCOVERY: 'libp2p', BYWAY_BOOTSTRAP: BOOTSTRAP })
  try {
    const bootstrap = await exchange.addRelay('boot', ['--country', 'zz'])
    const providers = [await exchange.addRelay('p1', ['--country', 'de']), await exchange.addRelay('p2', ['--country', 'us'])]
    const consumer = await exchange.addConsumer('c1', 'none')
    const second = await exchange.addConsumer('c2', 'none')
    for (const each of [consumer, second]) {
      await eventually(`${each.name} knows both`, async () => ((await each.status()).countries?.includes('us') ? true : undefined), 300_000)
      await each.download(`${NEW_BYTES}/warm-${each.name}`, 'any-country-us')
    }
    note('everybody knows everybody')
    await second.stop()
    const downloading = consumer.download(`${HELD_BYTES}/held/hold`, 'any-country-de', minutes * 60 + 600)
    downloading.catch(() => {})
    await Promise.race([exchange.held(), downloading])
    await exchange.cutChain()
    bootstrap.kill()
    note(`chain and bootstrap node are gone, for ${minutes} minutes`)
    const counted = () =>
      ['rx_bytes', 'tx_bytes'].reduce(
        (sum, name) => sum + Number(exchange.world.inside(consumer.site.ns, 'cat', `/sys/class/net/eth/statistics/${name}`).toString()),
        0,
      )
    await quiet(counted)
    const before = counted()
    for (let at = counted(), left = minutes; left > 0; left--) {
      await delay(Math.min(1, left) * 60_000)
      note(`${counted() - at} bytes in a minute`)
      at = counted()
    }
    const controlBytes = counted() - before
    const { sessions } = await consumer.status()
    assert.ok(
      sessions.some(({ provider }) => provider === providers[0]!.nodeKey),
      'the session lives',
    )
    const fresh = await consumer.download(`${NEW_BYTES}/fresh`, 'any-country-us')
    assert.equal(fresh.sha256, sha256Of('fresh', NEW_BYTES), 'another provider serves')
    // It knows from its disk whom to ask, and from its provider what it promised.
    const again = await exchange.restartConsumer(second)
    const cached = await again.download(`${NEW_BYTES}/cached`, 'any-country-us')
    assert.equal(cached.sha256, sha256Of('cached', NEW_BYTES), 'a consumer that starts now is served')
    await exchange.go()
    const held = await downloading
    assert.equal(held.sha256, sha256Of('held', HELD_BYTES), 'the download that began before is whole')
    assert.ok(controlBytes < CONTROL_LIMIT_BYTES, `${controlBytes} bytes of control traffic`)
    return { minutes, controlBytes, newSessions: 2 }
  } finally {
    await exchange.close()
  }
}

/** What was under way when the origin stopped sending is no control traffic: waits until less than a keep-alive a second passes. */
async function quiet(counted: () => number): Promise<void> {
  for (let [before, calm] = [counted(), 0]; calm < QUIET_S; ) {
    await delay(1_000)
    const now = counted()
    calm = now - before < QUIET_BYTES ? calm + 1 : 0
    before = now
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
  console.log(JSON.stringify(await runHour(Number(values.minutes), (text) => console.error(text))))
}
