/**
 * Name questions of guests, asked of the exit's own resolver: whichever server a guest names, this one answers.
 *
 * Each question has a socket of its own for as long as it takes: a port nobody can guess, connected, so that only the resolver can answer.
 */

import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { getServers } from 'node:dns'
import { isIPv6 } from 'node:net'
import { answers, questionAllowed, readQuestion, refusal } from './questions.ts'

/** What stub resolvers wait before they ask again. */
const ANSWER_LIMIT_MS = 5_000
/** Questions under way over all guests: each is a socket. A browser's burst is a hundred. */
const MAX_QUESTIONS = 512
const DNS_PORT = 53

export interface NameServer {
  /** `take` is called at most once, and never for what is no question. False when it was refused or dropped. */
  ask(message: Buffer, take: (answer: Buffer) => void): boolean
  close(): void
}

/** `servers` are asked in turns: `192.0.2.1`, `[2001:db8::1]:5353`, as the system lists them. */
export function createNameServer(servers: () => readonly string[] = getServers): NameServer {
  const open = new Set<Socket>()
  let turn = 0

  function ask(message: Buffer, take: (answer: Buffer) => void): boolean {
    const question = readQuestion(message)
    if (question === undefined) return false
    if (!questionAllowed(question)) {
      take(refusal(message, question))
      return false
    }
    const known = servers()
    if (open.size >= MAX_QUESTIONS || known.length === 0) return false
    const { host, port } = serverAddress(known[turn++ % known.length]!)
    // A question under way is no reason for a node that stops to wait.
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4').unref()
    open.add(socket)
    const end = () => {
      clearTimeout(timer)
      if (open.delete(socket)) socket.close()
    }
    const timer = setTimeout(end, ANSWER_LIMIT_MS).unref()
    // The id that travels is our own: a guest must not choose what the resolver's other clients could be confused with.
    const sent = Buffer.from(message)
    const asked = { ...question, id: randomInt(0x1_0000) }
    sent.writeUInt16BE(asked.id)
    socket.on('error', end)
    socket.on('message', (answer) => {
      if (!answers(answer, sent, asked)) return
      end()
      answer.writeUInt16BE(question.id)
      take(answer)
    })
    socket.once('connect', () => socket.send(sent, (error) => error && end()))
    socket.connect(port, host)
    return true
  }

  return {
    ask,
    close: () => {
      for (const socket of open) socket.close()
      open.clear()
    },
  }
}

function serverAddress(text: string): { host: string; port: number } {
  const match = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text)
  return match === null ? { host: text, port: DNS_PORT } : { host: match[1]!, port: Number(match[2]) }
}
