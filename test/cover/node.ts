/** A node's listener in a process of its own, so that it can be timed and killed: `node test/cover/node.ts '<json>'`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { createInterface } from 'node:readline'
import { fromHex } from '../../src/protocol/bytes.ts'
import { siteHandler } from '../../src/tunnel/cover/site.ts'
import { listenTls, ownCertificate } from '../../src/tunnel/index.ts'

export const NODE_KEY = `0x${'4e'.repeat(32)}` as const

export interface NodeOptions {
  /** 0 for any. */
  port: number
  cert: string
  key: string
  cover?: string
  /** Instead of a node: Node's own https server with the built-in site, as the real thing the node must look like. */
  siteAlone?: boolean
}

export interface NodeProcess {
  port: number
  kill(): Promise<void>
}

export async function startNode(options: NodeOptions): Promise<NodeProcess> {
  const child: ChildProcess = spawn(process.execPath, [import.meta.filename, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string]
  return {
    port: Number(line),
    async kill() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function run({ port, cert, key, cover, siteAlone }: NodeOptions): Promise<number> {
  if (siteAlone) {
    const server = createServer({ cert, key, minVersion: 'TLSv1.2', honorCipherOrder: false }, siteHandler(fromHex(NODE_KEY, 32)))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  }
  const certificate = ownCertificate(cert, key)
  const listener = await listenTls({ host: '127.0.0.1', port, certificate, nodeKey: NODE_KEY, cover, onFailure: () => {} }, (link) => {
    link.listen({
      onMessage: ({ name, body }) => name === 'ping' && link.send('pong', body),
      onData: (chunk) => link.sendData(chunk, () => {}),
      onClose: () => {},
    })
  })
  return listener.port
}

if (import.meta.main) {
  console.log(await run(JSON.parse(process.argv[2]!) as NodeOptions))
  // It ends with its parent.
  process.stdin.resume().once('end', () => process.exit())
}
