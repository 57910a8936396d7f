/** A carrying thread with nothing but its sessions. */
import { runThread } from './thread.ts'

runThread()
