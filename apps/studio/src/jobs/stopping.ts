// Ending a runner from here: asked to stop it saves what there is; one that takes too long is killed.
import type { JobRequest } from './requests.ts'
import type { Runner } from './runner.ts'

/** A runner that was asked to stop is killed after so long. */
const stopSeconds = 60

export function stopSoon(runner: Runner): void {
  runner.stop()
  const timer = setTimeout(() => runner.kill(), stopSeconds * 1000)
  void runner.ended.finally(() => clearTimeout(timer))
}

/** What is asked of a job, told to its runner; where the job goes then is in outcomes.ts. */
export function askRunner(runner: Runner, request: JobRequest): void {
  if (request === 'cancel') runner.kill()
  else stopSoon(runner)
}
