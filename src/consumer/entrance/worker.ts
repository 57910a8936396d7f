/** The carrying thread of a consumer: its sessions, and the entrance. */
import { runThread } from '../../tunnel/fast/thread.ts'
import { Doorkeeper } from './doorkeeper.ts'

runThread((inside) => new Doorkeeper(inside))
