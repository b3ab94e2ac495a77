// Rounds of work, one after the other and never two at once: whoever wakes during a round gets another one after it.

export type Rounds = {
  /** From now on there are rounds; the first comes at once. */
  begin(): void
  /** There is something to do. */
  wake(): void
  /** No further round; one that is under way sees `open` turn false. */
  end(): void
  open(): boolean
  /** Once no round is under way. */
  settled(): Promise<void>
}

export function createRounds(options: {
  round(): Promise<void>
  /** Told why a round broke off; the next one comes as if it had not. */
  onError(error: unknown): void
}): Rounds {
  const { round, onError } = options
  let open = false
  let again = false
  let working: Promise<void> | undefined

  function wake(): void {
    if (!open) return
    again = true
    working ??= work().finally(() => {
      working = undefined
      if (again) wake()
    })
  }

  async function work(): Promise<void> {
    while (again && open) {
      again = false
      try {
        await round()
      } catch (error) {
        onError(error)
      }
    }
  }

  return {
    begin() {
      open = true
      wake()
    },
    wake,
    end() {
      open = false
    },
    open: () => open,
    settled: async () => working,
  }
}
