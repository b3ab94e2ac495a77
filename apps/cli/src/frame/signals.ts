// Ctrl-C: the first asks the job to save and return, the second ends the process at once.

/**
 * A terminal sends Ctrl-C to the whole process group, and the bootstrap passes its own on: signals that arrive
 * this close together are one.
 */
const sameSignalMilliseconds = 400

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls `stop` on the first signal. On a later one the process dies of that signal, without the clean-up that
 * would abort inside ONNX Runtime; a shell sees 130 for Ctrl-C.
 * @returns a function that takes the handlers away
 */
export function onStopSignals(stop: () => void): () => void {
  let firstAt: number | undefined
  const handle = (signal: NodeJS.Signals) => {
    const now = performance.now()
    if (firstAt === undefined) {
      firstAt = now
      stop()
      return
    }
    if (now - firstAt < sameSignalMilliseconds) return
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  for (const signal of signals) process.on(signal, handle)
  return () => {
    for (const signal of signals) process.off(signal, handle)
  }
}
