// What text generation needs from a runtime.

/** Runs tokens after those already seen. */
export type Stepper = {
  /** @returns the logits [vocab] of the last token; valid until the next call */
  next(ids: readonly number[]): Promise<ArrayLike<number>>
  close(): Promise<void>
}
