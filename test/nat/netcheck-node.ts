/**
 * A program for a namespace. `relay ADDRESS` is a relay there and prints its offer; `look OFFER...` prints what a netcheck finds from there,
 * one JSON line.
 */
import { measureNetwork } from '../../src/cli/netcheck.ts'
import { offerText, readOfferText } from '../../src/protocol/offer.ts'
import { judge } from '../../src/tunnel/netcheck/index.ts'
import { MemoryChain } from '../support/memory-chain.ts'
import { startProvider } from '../support/pair.ts'

const [mode, ...words] = process.argv.slice(2)
if (mode === 'relay') {
  const { offer } = await startProvider({ chain: new MemoryChain(), host: words[0]!, relay: true })
  console.log(offerText(offer))
} else {
  const offers = words.map((text) => readOfferText(text, Math.floor(Date.now() / 1_000)))
  console.log(JSON.stringify(judge({ ...(await measureNetwork(offers, [], process.env)), chainAheadS: undefined })))
  process.exit()
}
