/**
 * Outage: what flows outlive in the world, in namespaces: an address that changes, a line that is dead for a while, a provider that stands still.
 *
 *     node test/outage/outage.ts roam 100      the consumer's address changes in the middle of 100 MB
 *     node test/outage/outage.ts dead 100 30   its line is dead for 30 s in the middle of 100 MB
 *     node test/outage/outage.ts frozen        the provider is stopped (SIGSTOP) under traffic; another one serves what is new
 *
 * The rule it keeps: nothing is told to anybody. No reset arrives, packets just do not. Ends with 0 only if every byte arrived, both books
 * agree and nothing is disputed. Start reading at {@link run}.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { createWorld } from '../nat/world.ts'

type Line = Record<string, unknown>

/** What a child says, line by line. */
class Voice {
  readonly lines: Line[] = []
  readonly child: ChildProcess
  errors = ''

  constructor(child: ChildProcess) {
    this.child = child
    createInterface({ input: child.stdout! }).on('line', (line) => this.lines.push(JSON.parse(line) as Line))
    child.stderr!.on('data', (part: Buffer) => {
      this.errors += part.toString()
    })
  }

  /** The first line of this kind that was not asked for yet. */
  async hears(key: string, limitMs = 120_000): Promise<Line> {
    const deadline = performance.now() + limitMs
    for (;;) {
      const at = this.lines.findIndex((line) => key in line)
      if (at >= 0) return this.lines.splice(at, 1)[0]!
      const failed = this.lines.find((line) => 'failed' in line)
      if (failed !== undefined || performance.now() > deadline || this.child.exitCode !== null) {
        assert.fail(`no ${key} came: ${JSON.stringify(failed)} ${this.errors}`)
      }
      await delay(2)
    }
  }

  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`)
  }
}

export type Kind = 'roam' | 'dead' | 'frozen'

const program = (name: string) => join(import.meta.dirname, `${name}.ts`)

/** One download of `megabytes`, and what happens in its middle. Returns facts for people. */
export async function run(kind: Kind, megabytes: number, seconds = 0): Promise<Record<string, string | number>> {
  const world = createWorld()
  try {
    const bytes = kind === 'frozen' ? 10_000_000_000 : megabytes * 1_000_000
    const home = world.addSite('buyer', [])
    const sites = Array.from({ length: kind === 'frozen' ? 2 : 1 }, (_, i) => world.addSite(`seller${i}`, []))
    // What is never read to its end needs no hash.
    const size = kind === 'frozen' ? '1000000000' : `${bytes}`
    const sellers = sites.map((site) => new Voice(world.start(site.ns, process.execPath, [program('seller'), site.address, size])))
    const offers = await Promise.all(sellers.map((seller) => seller.hears('offer')))
    const words = [program('buyer'), `${offers[0]!['port'] as number}`, ...offers.map(({ offer }) => offer as string)]
    const buyer = new Voice(world.start(home.ns, process.execPath, words))
    const { began } = await buyer.hears('began')
    if (kind === 'frozen') return await freeze(buyer, sellers, began as string, offers)
    for (let received = 0; received < bytes / 4; ) received = (await buyer.hears('received'))['received'] as number
    const ip = (...line: string[]) => world.inside(home.ns, 'ip', ...line)
    if (kind === 'roam') {
      ip('addr', 'del', `${home.address}/8`, 'dev', 'eth')
      ip('addr', 'add', home.address.replace('.0.2', '.1.2/8'), 'dev', 'eth')
    } else {
      ip('link', 'set', 'eth', 'down')
      await delay(seconds * 1_000)
      ip('link', 'set', 'eth', 'up')
    }
    const whole = await buyer.hears('sha256')
    assert.equal(whole['sha256'], offers[0]!['sha256'])
    buyer.tell('books')
    const bought = await buyer.hears('rows')
    sellers[0]!.tell('books')
    const sold = await sellers[0]!.hears('rows')
    assert.deepEqual(bought['rows'], sold['rows'])
    assert.equal(bought['disputed'], '0')
    const rows = bought['rows'] as { down: string }[]
    assert.equal(rows.length, 1, 'one session from the first byte to the last')
    assert.equal(rows[0]!.down, `${bytes}`)
    return { bytes, longestPauseMs: whole['longestMs'] as number, sessions: rows.length, disputed: 0 }
  } finally {
    await world.close()
  }
}

async function freeze(buyer: Voice, sellers: Voice[], began: string, offers: Line[]): Promise<Record<string, string | number>> {
  await buyer.hears('received')
  const at = offers.findIndex(({ offer }) => (offer as string).includes(began))
  const startedMs = performance.now()
  sellers[at]!.child.kill('SIGSTOP')
  await buyer.hears('away')
  const noticedMs = Math.round(performance.now() - startedMs)
  buyer.tell('again')
  const { again } = await buyer.hears('again')
  const servedMs = Math.round(performance.now() - startedMs)
  sellers[at]!.child.kill('SIGCONT')
  assert.notEqual(again, began, 'another provider serves')
  assert.match(again as string, /^[0-9a-f]{64}$/)
  return { noticedMs, servedMs }
}

if (import.meta.main) {
  const [kind = 'roam', megabytes = '100', seconds = '30'] = process.argv.slice(2)
  console.log(kind, JSON.stringify(await run(kind as Kind, Number(megabytes), Number(seconds))))
}
