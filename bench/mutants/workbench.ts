// A copy of the repository in a temporary folder, in which mutants live and die: nothing of them can be left behind in the
// tree. Packages are links to the installed ones; links between rooms lead into the copy.
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Mutant } from './draw.ts'

export type Outcome = { passed: boolean; late: boolean; seconds: number; output: string }

export type Workbench = {
  root: string
  /** Runs test files one process after another. @param options.limitSeconds after which all of it is ended */
  test(options: { files: readonly string[]; limitSeconds: number }): Promise<Outcome>
  /** Puts a mutant in. @returns false where it does not compile */
  apply(mutant: Mutant): Promise<boolean>
  /** Takes it out again. */
  restore(mutant: Mutant): void
  close(): void
}

// An end from outside takes tests and copies along.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const kernels = 'packages/tensor/kernels/kernels.wasm'

/** Files that git knows, and new ones that it does not ignore, as they are now. */
export function openWorkbench(from: string): Workbench {
  const root = mkdtempSync(join(tmpdir(), 'mistudio-mutants-'))
  // A Postgres that tests start runs as a user of its own.
  chmodSync(root, 0o755)
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: from,
    encoding: 'utf8',
  })
  for (const file of new Set(listed.split('\0').filter(Boolean))) {
    mkdirSync(join(root, dirname(file)), { recursive: true })
    cpSync(join(from, file), join(root, file), { force: true })
  }
  const modules = join(from, 'node_modules')
  mkdirSync(join(root, 'node_modules/@mistudio'), { recursive: true })
  for (const name of readdirSync(modules)) {
    if (!['@mistudio', '.vite', '.vite-temp'].includes(name)) {
      symlinkSync(join(modules, name), join(root, 'node_modules', name))
    }
  }
  for (const room of readdirSync(join(modules, '@mistudio'))) {
    const target = readlinkSync(join(modules, '@mistudio', room))
    symlinkSync(target, join(root, 'node_modules/@mistudio', room))
  }
  const remove = () => rmSync(root, { recursive: true, force: true, maxRetries: 3 })
  process.once('exit', remove)
  const originals = new Map<string, Buffer>()
  const original = (file: string) => {
    if (!originals.has(file)) originals.set(file, readFileSync(join(root, file)))
    return originals.get(file)!
  }
  original(kernels)

  async function runVitest(files: readonly string[], limitSeconds: number): Promise<Outcome> {
    const temporary = join(root, 'temporary')
    mkdirSync(temporary, { recursive: true })
    const args = ['node_modules/vitest/vitest.mjs', 'run', ...files]
    const limits = ['--bail=1', '--maxWorkers=1', '--testTimeout=60000', '--hookTimeout=60000']
    // Of the studio's two databases the embedded one is enough to notice.
    const once = ['-t', "^((?!on 'postgres').)*$"]
    const result = await run(root, [...args, ...limits, ...once], limitSeconds, {
      TMPDIR: temporary,
      NO_COLOR: '1',
    })
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 })
    return result
  }

  return {
    root,
    async test({ files, limitSeconds }) {
      return runVitest(files, limitSeconds)
    },
    async apply({ file, start, end, text }) {
      const before = original(file).toString('utf8')
      writeFileSync(join(root, file), before.slice(0, start) + text + before.slice(end))
      if (!file.includes('/assembly/')) return true
      const { passed } = await run(root, ['scripts/build-kernels.js'], 120, {})
      return passed
    },
    restore({ file }) {
      writeFileSync(join(root, file), original(file))
      writeFileSync(join(root, kernels), original(kernels))
    },
    close() {
      process.off('exit', remove)
      remove()
    },
  }
}

/** Node with these arguments, in a process group of its own, which ends with it. */
function run(
  cwd: string,
  args: string[],
  limitSeconds: number,
  env: Record<string, string>,
): Promise<Outcome> {
  const began = performance.now()
  const child = spawn(process.execPath, args, { cwd, detached: true, env: { ...process.env, ...env } })
  let output = ''
  let late = false
  const collect = (data: Buffer) => {
    output = (output + data.toString()).slice(-40_000)
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
  const timer = setTimeout(() => {
    late = true
    end()
  }, limitSeconds * 1000)
  process.once('exit', end)
  return new Promise(resolve => {
    child.on('exit', code => {
      clearTimeout(timer)
      process.off('exit', end)
      end()
      resolve({ passed: code === 0 && !late, late, seconds: (performance.now() - began) / 1000, output })
    })
  })
}
