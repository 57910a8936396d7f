/** What `byway --version` says, and every API. */
export const VERSION = '0.1.0'
