/** Loaded into the consumer's process (`node --import`): everything it connects to on this machine sees it at an address of its own. */
import net from 'node:net'

/** Put together when it is needed: this text is in the memory of every process that was started with it. */
export const consumerAddress = (): string => [127, 0, 0, 9].join('.')

if (process.argv.includes('connect')) {
  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]) {
    // Node normalises the arguments of net.connect and tls.connect to one array, whose first item are the options.
    const [first] = args as [unknown]
    const options = (Array.isArray(first) ? first[0] : first) as { port?: number; localAddress?: string } | undefined
    if (typeof options === 'object' && options.port !== undefined) options.localAddress ??= consumerAddress()
    return Reflect.apply(connect, this, args) as net.Socket
  } as typeof connect
}
