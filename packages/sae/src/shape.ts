// The shape of an SAE: widths, and which latents read and write which columns.

/** `dOut` differs from `dIn` for transcoders. Joint inputs (crosscoder, cross-layer) are concatenated columns. */
export type SaeShape = { dIn: number; dSae: number; dOut: number }

/** [from, to) */
export type Span = readonly [from: number, to: number]

/** Latents that read only the columns `input` of x and write only the columns `output` of x̂. */
export type LatentGroup = { latents: Span; input: Span; output: Span }
