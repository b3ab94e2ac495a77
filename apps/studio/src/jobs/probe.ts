// Measuring this machine for advice: a runner like those of jobs, but there is no job and nothing is written.
import type { Probe } from '@mistudio/training'
import type { ProbeSpec } from '../runners/spec.ts'
import type { StartRunner } from './runner.ts'

/** A probe that takes longer has hung. */
const probeSeconds = 120

/** @returns null where it failed, which `onError` is told: advice without figures of time is advice */
export async function measure(options: {
  spec: ProbeSpec
  startRunner: StartRunner
  threads?: number
  onError: (error: unknown) => void
}): Promise<Probe | null> {
  const { spec, startRunner, threads, onError } = options
  const runner = await startRunner({ spec, threads, onMessage: () => {} })
  const timer = setTimeout(() => runner.kill(), probeSeconds * 1000)
  const end = await runner.ended
  clearTimeout(timer)
  if (end.kind === 'result' && end.result.kind === 'probe') return end.result.probe
  onError(new Error(`the probe failed: ${end.kind === 'result' ? end.result.kind : end.message}`))
  return null
}
