import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { Command, CommanderError } from 'commander'
import { BywayError } from '../protocol/errors.ts'
import { createOutput } from './output.ts'
import { createProgress } from './progress.ts'
import type { Env } from './resolve.ts'

function capture(options: { json?: boolean; tty?: boolean; env?: Env } = {}) {
  const sink = () => {
    const texts: string[] = []
    return Object.assign(new EventEmitter(), { texts, isTTY: options.tty ?? false, columns: 40, write: (text: string) => texts.push(text) })
  }
  const stdout = sink()
  const stderr = sink()
  const output = createOutput({ stdout, stderr, env: options.env ?? {}, json: options.json ?? false })
  return { output, stdout, stderr, out: () => stdout.texts.join(''), err: () => stderr.texts.join('') }
}

test('people get tables and talk, and no JSON', () => {
  const { output, out, err } = capture()
  output.table([{ title: 'exit' }], [['de']])
  output.result({ exits: 1 }, () => output.line('one exit'))
  output.event('ready')
  output.note('listening')
  assert.equal(out(), 'exit\nde\none exit\n')
  assert.equal(err(), 'listening\n')
})

test('a table wider than the terminal is not wrapped', () => {
  const wide = capture({ tty: true, env: { NO_COLOR: '1' } })
  const columns = [{ title: 'node' }, { title: 'wallet' }, { title: 'balance' }]
  wide.output.table(columns, [['consumer', '0x3c1f', '$1.00']])
  wide.output.table(columns, [['consumer', '0x3c1f3c1f3c1f3c1f3c1f', '$1000.000001']])
  assert.equal(
    wide.out(),
    'node      wallet  balance\nconsumer  0x3c1f  $1.00\nconsumer\n  wallet 0x3c1f3c1f3c1f3c1f3c1f\n  balance $1000.000001\n',
  )
})

test('programs get JSON lines on stdout and nothing else anywhere', () => {
  const { output, out, err } = capture({ json: true, tty: true })
  output.table([{ title: 'exit' }], [['de']])
  output.line('x')
  output.note('listening')
  output.status('busy')
  output.result({ deposit: 5_000_000n }, () => output.line('never'))
  output.event('ready', { providers: ['de'] })
  assert.equal(out(), '{"deposit":"5000000"}\n{"event":"ready","providers":["de"]}\n')
  assert.equal(err(), '')
})

test('an error shows its code, what happened, the facts and the hint, and gives the exit code of the table', () => {
  const error = new BywayError('PORT_BUSY', 'port 1080 is taken', { facts: { port: 1080, takenBy: 'ssh' }, hint: 'pass --port' })
  const people = capture()
  assert.equal(people.output.fail(error), 1)
  assert.equal(people.err(), 'error PORT_BUSY: port 1080 is taken\n  port 1080   taken by ssh\n  hint: pass --port\n')
  assert.equal(people.out(), '')
  const programs = capture({ json: true })
  assert.equal(programs.output.fail(error), 1)
  assert.deepEqual(JSON.parse(programs.out()), {
    event: 'error',
    code: 'PORT_BUSY',
    message: 'port 1080 is taken',
    facts: { port: 1080, takenBy: 'ssh' },
    hint: 'pass --port',
    retry: true,
  })
  assert.equal(programs.err(), '')
})

test('a stack is printed only when asked for', () => {
  const shown = (env: Env) => {
    const { output, err } = capture({ env })
    output.fail(new Error('boom'))
    return err()
  }
  assert.equal(shown({}), 'error INTERNAL: boom\n')
  assert.match(shown({ BYWAY_DEBUG_STACK: '1' }), /output\.test\.ts/)
})

test('what another library threw is cut to a line, without the key in its address', () => {
  const { output, err } = capture({ env: { BYWAY_DEBUG_STACK: '1' } })
  output.fail(new Error('HTTP request to https://rpc.example/v3/secret failed.\nBody: many lines'))
  assert.match(err(), /^error INTERNAL: HTTP request to https:\/\/rpc\.example\/\*\*\* failed\.\n/)
  assert.ok(!err().includes('secret'))
})

test('text from a peer cannot drive the terminal', () => {
  const { output, err } = capture()
  output.fail(new BywayError('PROVIDER_LOST', 'peer said \u001b[31mhi\nerror FAKE', { facts: { why: '\u0007' }, hint: 'a\rb' }))
  assert.equal(err(), 'error PROVIDER_LOST: peer said  [31mhi error FAKE\n  why  \n  hint: a b\n')
})

test('wrong words on the command line become ARGUMENT_INVALID, and asking for help is no error', () => {
  const parse = (...args: string[]) => {
    const program = new Command('byway').exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} })
    program
      .command('share')
      .option('--price <dollars>')
      .action(() => {})
    try {
      program.parse(args, { from: 'user' })
      return undefined
    } catch (thrown) {
      return thrown
    }
  }
  const { output, err } = capture()
  assert.equal(output.fail(parse('share', '--prize', '1')), 2)
  assert.equal(err(), "error ARGUMENT_INVALID: unknown option '--prize'\n  hint: did you mean --price?\n")
  assert.equal(output.fail(parse('--help')), 0)
  assert.ok(parse('--help') instanceof CommanderError)
})

test('colours follow the terminal, NO_COLOR and FORCE_COLOR', () => {
  const coloured = (tty: boolean, env: Env) => capture({ tty, env }).output.style('bold', 'x') !== 'x'
  assert.equal(coloured(true, {}), true)
  assert.equal(coloured(false, {}), false)
  assert.equal(coloured(true, { NO_COLOR: '1' }), false)
  assert.equal(coloured(false, { FORCE_COLOR: '1' }), true)
  assert.equal(coloured(true, { TERM: 'dumb' }), false)
})

test('a status line is clipped, taken away before other lines and drawn again after them', () => {
  const { output, stdout, stderr } = capture({ tty: true, env: { NO_COLOR: '1' } })
  output.status('x'.repeat(100))
  assert.equal(stderr.texts.at(-1), `\r\u001b[2K${'x'.repeat(39)}`)
  output.status('busy')
  stderr.texts.length = 0
  output.line('data')
  assert.deepEqual(stdout.texts, ['data\n'])
  assert.deepEqual(stderr.texts, ['\r\u001b[2K', '\r\u001b[2Kbusy'])
  output.status(undefined)
  output.note('after')
  assert.deepEqual(stderr.texts.slice(2), ['\r\u001b[2K', 'after\n'])
})

test('a reader that went away is not an error, another fault of the stream is', () => {
  const { stdout } = capture()
  stdout.emit('error', Object.assign(new Error('gone'), { code: 'EPIPE' }))
  assert.throws(() => stdout.emit('error', Object.assign(new Error('full'), { code: 'ENOSPC' })), /full/)
})

test('a step shows when it starts and how long it took, in plain lines without a terminal', async () => {
  const { output, err } = capture()
  let ms = 0
  const progress = createProgress(output, () => ms)
  const value = await progress.step('deploying contracts', async (detail) => {
    ms = 1_000
    detail('1 of 2')
    ms = 6_000
    detail('2 of 2')
    return 42
  })
  assert.equal(value, 42)
  assert.equal(err(), 'deploying contracts ...\ndeploying contracts: 2 of 2\ndeploying contracts: done in 6.0 s\n')
})

test('a step that fails says so and throws on', async () => {
  const { output, err } = capture()
  const progress = createProgress(output, () => 0)
  await assert.rejects(
    progress.step('starting anvil', async () => {
      throw new BywayError('CHILD_FAILED', 'anvil ended')
    }),
    { code: 'CHILD_FAILED' },
  )
  assert.equal(err(), 'starting anvil ...\nstarting anvil: failed in 0 ms\n')
})

test('on a terminal a step is one rewritten line that ends with a mark', async () => {
  const { output, err, stderr } = capture({ tty: true, env: { NO_COLOR: '1' } })
  let ms = 0
  await createProgress(output, () => ms).step('starting anvil', async () => {
    ms = 1_500
  })
  assert.ok(err().startsWith('\r\u001b[2Kstarting anvil ...  0 ms'))
  assert.deepEqual(stderr.texts.slice(-2), ['\r\u001b[2K', '✓ starting anvil  1.5 s\n'])
})

test('under --json a step is two events', async () => {
  const { output, out, err } = capture({ json: true })
  await createProgress(output, () => 0).step('starting anvil', async () => {})
  assert.equal(
    out(),
    '{"event":"step","step":"starting anvil","state":"started"}\n{"event":"step","step":"starting anvil","state":"done","ms":0}\n',
  )
  assert.equal(err(), '')
})
