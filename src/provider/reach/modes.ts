/** How a node decides whether it is open or tucked: by trying, or because its owner knows. */
export const REACH_MODES = ['auto', 'open', 'tucked'] as const
export type ReachMode = (typeof REACH_MODES)[number]
