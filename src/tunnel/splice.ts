/**
 * Joins two byte streams faithfully: what one ends the other ends, what one resets the other resets, and neither is read faster than the
 * other takes. Used at both ends of a tunnel: application and flow, flow and destination.
 */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Asked before bytes are passed on: true lets them through now, a promise holds them (and their source) back until it resolves.
 * A rejection resets both streams.
 */
export type Gate = (bytes: number) => true | Promise<void>

const OPEN: Gate = () => true

/** Resolves when both streams are closed, whatever ended them. Both must allow half-open. */
export async function splice(a: Duplex, b: Duplex, gates: { aToB?: Gate; bToA?: Gate } = {}): Promise<void> {
  const closed = Promise.all([whenClosed(a), whenClosed(b)])
  // Listeners go on in this turn: a stream that already failed must find them.
  pass(a, b, gates.aToB ?? OPEN)
  pass(b, a, gates.bToA ?? OPEN)
  await closed
}

function whenClosed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve()
    else stream.once('close', resolve)
  })
}

function pass(source: Duplex, sink: Duplex, gate: Gate): void {
  let held = false
  let ended = false
  const proceed = () => {
    held = false
    if (ended) sink.end()
    else source.resume()
  }
  const deliver = (chunk: Buffer) => {
    if (sink.destroyed) return
    if (sink.write(chunk)) {
      if (held) proceed()
      return
    }
    held = true
    source.pause()
    sink.once('drain', proceed)
  }
  source.on('data', (chunk: Buffer) => {
    const granted = gate(chunk.length)
    if (granted === true) {
      deliver(chunk)
      return
    }
    held = true
    source.pause()
    granted.then(
      () => deliver(chunk),
      (error: Error) => {
        reset(source, error)
        reset(sink, error)
      },
    )
  })
  const onEnd = () => {
    ended = true
    if (!held) sink.end()
  }
  const onClose = () => {
    // Closed before it said its last word or took ours: an abort, whether or not it came with an error.
    if (!source.readableEnded || !source.writableFinished) reset(sink, source.errored ?? new Error('the other side went away'))
  }
  // One that was handed over paused would not start by itself.
  source.resume()
  source.on('error', (error: Error) => reset(sink, error))
  // A stream may have ended or failed before anybody listened.
  if (source.readableEnded) onEnd()
  else source.once('end', onEnd)
  if (source.closed) onClose()
  else source.once('close', onClose)
}

/** One end of a pair within this machine: it knows no resets, and Node throws. */
function isPair(socket: Socket): boolean {
  const { _handle: handle } = socket as { _handle?: { reset?: unknown } | null }
  return handle !== undefined && handle !== null && handle.reset === undefined
}

/** Tears a stream down so that its peer sees a reset, not an orderly end. */
export function reset(stream: Duplex, error: Error): void {
  if (stream.destroyed) return
  if (!(stream instanceof Socket) || 'encrypted' in stream || isPair(stream)) stream.destroy(error)
  // While a socket sends its end the system refuses to reset it, and Node would then leave it open for good. All it had to write is
  // written by then, so the end is over in a moment.
  else if (stream.writableEnded && !stream.writableFinished && stream.writableLength === 0) {
    stream.once('finish', () => stream.resetAndDestroy())
  } else stream.resetAndDestroy()
}
