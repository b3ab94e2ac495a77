// When a process started, so that a number of a process that has ended is not taken for another one that got it since.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * @returns undefined when there is no such process. Where its start cannot be told, the number alone has to do: ''.
 */
export function processStart(options: { pid: number }): string | undefined {
  const { pid } = options
  if (!exists(pid)) return undefined
  if (process.platform === 'linux') {
    try {
      // The second field is a name in brackets that may hold anything; the start is the 22nd, in ticks since boot.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // A zombie has ended; only its parent has not looked yet.
      return fields[0] === 'Z' ? undefined : fields[19]
    } catch {
      return exists(pid) ? '' : undefined
    }
  }
  if (process.platform === 'win32') return ''
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return exists(pid) ? '' : undefined
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
