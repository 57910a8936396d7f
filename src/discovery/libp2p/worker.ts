/** The thread libp2p runs in. What it may do to the rest of the program is post messages (orders.ts). */
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { CounterName } from '../../protocol/observe.ts'
import { readOffer, type SignedOffer } from '../../protocol/offer.ts'
import { reachableBy } from './addresses.ts'
import { admission } from './admit.ts'
import { Answers } from './answers.ts'
import { asnTable } from './asn.ts'
import { Courier } from './courier.ts'
import { groupsBy } from './diversity.ts'
import { createNet } from './net.ts'
import type { Order, Report, Setup } from './orders.ts'
import { createRounds } from './rounds.ts'
import { OfferStore } from './store.ts'

const setup = workerData as Setup
const report = (what: Report) => parentPort!.postMessage(what)

/** The clock of the thread that started this one, which a test may have set. */
const clock = { nowMs: () => Date.now() + setup.clockAheadMs }
const nowS = () => Math.floor(clock.nowMs() / 1000)
const groupsOf = groupsBy(setup.asnTable === undefined ? undefined : asnTable(readFileSync(setup.asnTable, 'utf8')))
const observer = {
  count: (name: CounterName, by = 1, labels: Readonly<Record<string, string>> = {}) => report({ did: 'count', name, by, labels }),
}
const admit = admission(reachableBy(setup.reachable), nowS)
const store = new OfferStore(clock)
const answers = new Answers({ clock, observer, store, nearest: (place, count) => net.nearest(place, count), admit })
const onMalformed = () => observer.count('malformed', 1, { where: 'peer' })

const net = await createNet({
  ...(setup.serve === undefined ? {} : { serve: { ...setup.serve, answer: (question, from) => answers.answer(question, from) } }),
  reachable: setup.reachable,
  groupsOf,
  localAddress: setup.localAddress,
  onMalformed,
})
const courier = new Courier({
  net,
  clock,
  groupsOf,
  store,
  admit,
  onOffer: (_offer, bytes) => report({ did: 'offer', bytes }),
  // Most of them are nodes that left.
  onLost: () => {},
})
const rounds = createRounds({ net, courier, bootstrap: setup.bootstrap, contacts: setup.contacts, report, store })

/** Offers of our own come over the wall as bytes; the other side verified them. */
const own = (bytes: Uint8Array): SignedOffer => readOffer(bytes, nowS())

parentPort!.on('message', (order: Order) => {
  switch (order.do) {
    case 'announce':
      return rounds.announce(own(order.bytes))
    case 'withdraw':
      return rounds.withdraw(order.nodeKey)
    case 'meet':
      for (const contact of order.contacts) courier.meet(contact)
      return
    case 'seek':
      return rounds.seek(order.country)
    case 'look':
      return void rounds.look().then((looked) => report({ did: 'looked', turn: order.turn, ...looked }))
    case 'stop':
      return void rounds
        .stop()
        .then(() => net.close())
        .finally(() => process.exit(0))
  }
})
rounds.start()
