/** What a relay gives away before anybody pays, bounded one by one. Relayed bytes are paid like those of any flow and need no limit here. */

/** Nodes that wait here: each holds one link and a few spare connections, about 200 KiB together. */
export const MAX_RESERVATIONS = 256
/** From one address: a household with several nodes, or a few neighbours behind one carrier address; more is somebody who takes the room of others. */
export const MAX_RESERVATIONS_PER_ADDRESS = 8
/** A reservation is renewed at half of this. A node that was switched off without a word is gone in a minute (see SILENCE_LIMIT_MS) anyway. */
export const RESERVATION_LIFE_S = 3_600
/** Tucked nodes ping every 5 s. Three missed ones and a slow line. */
export const SILENCE_LIMIT_MS = 20_000
/** Connections a tucked node keeps ready here, so that a call costs no round trip: a session opens with two links. */
export const SPARES = 2
/** Most routers forget a silent connection after five minutes or more; a spare is replaced before. */
export const SPARE_LIFE_MS = 240_000
/** Calls one node has not answered yet. A browser's burst; more at once would make the node dial us in a storm. */
export const MAX_CALLS_PENDING = 32
/** Of all nodes together: each holds a flow open that carries nothing yet. */
export const MAX_CALLS_PENDING_TOTAL = 256
/** Calls one session waits for: one consumer must not use up what all share. */
export const MAX_CALLS_PER_SESSION = 32
/** Calls being carried to one node: as many flow links as a session may have. */
export const MAX_CARRIED = 1_024
/** The call travels, and the node connects with TLS and its proof: five round trips on a bad line. */
export const CALL_TIMEOUT_MS = 5_000
/** Questions of one address under way: each makes us dial it. */
export const MAX_OBSERVATIONS_PER_ADDRESS = 2
export const MAX_OBSERVATIONS = 64
/** Dialling back: a connection that is dropped by a router must not hold the question for long. */
export const DIAL_BACK_TIMEOUT_MS = 3_000
