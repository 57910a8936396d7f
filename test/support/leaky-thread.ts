/** A thread that says hello and, when told to, takes memory until it dies. */
import { parentPort } from 'node:worker_threads'

const taken: unknown[] = []
parentPort!.on('message', (order: { do: string }) => {
  if (order.do === 'stop') process.exit(0)
  if (order.do === 'greet') parentPort!.postMessage({ greeting: 'hello' })
  if (order.do === 'leak') for (;;) taken.push(Array.from({ length: 10_000 }, (_, i) => ({ i })))
})
