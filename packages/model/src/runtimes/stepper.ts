// What text generation asks of a runtime. It knows nothing else of them.

/** Runs tokens behind those it has seen. */
export type Stepper = {
  /** @returns the logits [vocab] of the last token; valid until the next call */
  next(ids: readonly number[]): Promise<ArrayLike<number>>
  close(): Promise<void>
}
