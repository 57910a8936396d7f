/** Loaded into a node's process (`node --import`): whatever it connects to sees it at the address that `BYWAY_TEST_ADDRESS` names. */
import net from 'node:net'

const own = process.env.BYWAY_TEST_ADDRESS
if (own !== undefined) {
  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
    // Node normalises the arguments of net.connect and tls.connect to one array, whose first item are the options.
    const [first] = args as [unknown]
    const options = (Array.isArray(first) ? first[0] : first) as { port?: number; localAddress?: string } | undefined
    if (typeof options === 'object' && options.port !== undefined) options.localAddress ??= own
    return Reflect.apply(connect, this, args) as net.Socket
  } as typeof connect
}
