/** Nodes and the real servers they must look like, each in a process of its own. */

import { type Nginx, startNginx } from './nginx.ts'
import { type NodeProcess, startNode } from './node.ts'

export interface World {
  nginx: Nginx
  /** A node whose cover is nginx, with nginx's own certificate. */
  node: NodeProcess
  /** A node with the built-in site. */
  builtIn: NodeProcess
  /** Node's own https server with the same site. */
  site: NodeProcess
  /** The same node again after kill -9, on the same port. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startWorld(): Promise<World> {
  const nginx = await startNginx()
  const { cert, key } = nginx.certificate
  const cover = `https://127.0.0.1:${nginx.https}`
  const world: World = {
    nginx,
    node: await startNode({ port: 0, cert, key, cover }),
    builtIn: await startNode({ port: 0, cert, key }),
    site: await startNode({ port: 0, cert, key, siteAlone: true }),
    async restart() {
      await world.node.kill()
      world.node = await startNode({ port: world.node.port, cert, key, cover })
    },
    async stop() {
      await Promise.all([world.node.kill(), world.builtIn.kill(), world.site.kill()])
      await nginx.stop()
    },
  }
  return world
}
