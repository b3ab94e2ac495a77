// What the domain asks of whoever runs jobs (jobs/host.ts): it decides, the host does.
import type { Probe } from '@mistudio/training'
import type { ProbeSpec } from '../../runners/spec.ts'

/** What a person asks of a job. Every one throws a ProblemError, 409 naming state and move, when the job cannot. */
export type JobRequests = {
  pause(jobId: string): Promise<void>
  resume(jobId: string): Promise<void>
  /** `keep`: the SAEs as they are then; otherwise what was made is dropped. */
  stop(jobId: string, options: { keep: boolean }): Promise<void>
  cancel(jobId: string): Promise<void>
}

export type JobControl = JobRequests & {
  /** Something was queued. */
  wake(): void
  /** Measures this machine in a process of its own, beside any job. @returns null where that failed */
  measure(spec: ProbeSpec): Promise<Probe | null>
}
