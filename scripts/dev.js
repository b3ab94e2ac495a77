// `npm run dev`: the studio, ended and started again when one of its sources changes, and Vite's server for the pages, which
// passes API and events on to the studio. Ctrl-C ends both.
// Not node --watch: that has every worker thread report its modules over the very port that the thread is spoken to by.
import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { prepare, reportAndExit, root, runChild } from './bootstrap.js'

const host = '127.0.0.1'
const help = `npm run dev -- [--port PORT] [--web-port PORT] [OPTION of mistudio serve]…

  --port      of the studio, default 8484
  --web-port  of the pages, default 5173
  Others go to \`mistudio serve\`: --data-dir DIR (default ./data), --no-demo, --threads N …
`
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** What the studio is made of; its pages are Vite's. Everything is watched from these folders down. */
const watched = ['packages', 'apps/cli', 'apps/studio']
/** An editor writes a file in several steps, and a checkout many files. */
const quietMilliseconds = 150

/** Takes out what is ours; everything else is for the studio. */
export function readOptions(words) {
  const own = { port: { type: 'string', default: '8484' }, 'web-port': { type: 'string', default: '5173' } }
  const options = { ...own, help: { type: 'boolean', short: 'h' } }
  const { values, tokens } = parseArgs({ args: words, options, strict: false, tokens: true })
  const taken = new Set()
  for (const token of tokens) {
    if (token.kind !== 'option' || !(token.name in options)) continue
    taken.add(token.index)
    if (token.value !== undefined && !token.inlineValue) taken.add(token.index + 1)
  }
  const rest = words.filter((_, i) => !taken.has(i))
  return { port: values.port, webPort: values['web-port'], help: values.help === true, rest }
}

/** Whether the studio must start again when this file changes. @param {string} path relative to a watched folder */
export function isSource(path) {
  const parts = path.split(sep)
  return (parts.includes('src') && /(?<!\.test)\.ts$/.test(path)) || parts.at(-1) === 'kernels.wasm'
}

/**
 * Keeps a program running: it is ended and started again on every change, started again on the next change where it ended by
 * itself, and never twice at once, since the data folder is for one.
 * @param {{ node: string, args: string[] }} options
 * @returns `change` to call on a change; `stop`, which passes on a signal; `finish`, which stops it if nobody has; and
 *   `ended`, which resolves once it is stopped and gone
 */
export function keepRunning({ node, args }) {
  let resolve
  const ended = new Promise(done => (resolve = done))
  let child
  let stopped = false
  let changed = false
  const start = () => {
    changed = false
    // By its IPC channel the program notices that we were killed (apps/cli/src/main.ts).
    const stdio = ['inherit', 'inherit', 'inherit', 'ipc']
    child = spawn(node, args, { stdio, env: { ...process.env, MISTUDIO_WATCHED: '1' } })
    child.once('exit', code => {
      child = undefined
      if (stopped) return resolve()
      if (changed) return start()
      process.stderr.write(`miStudio: the studio ended with code ${code}; the next change starts it again\n`)
    })
  }
  function stop(signal) {
    stopped = true
    if (child === undefined) resolve()
    else child.kill(signal)
  }
  start()
  return {
    ended,
    stop,
    finish() {
      if (!stopped) stop('SIGTERM')
    },
    change() {
      if (stopped) return
      process.stderr.write('miStudio: sources changed, the studio starts again\n')
      if (child === undefined) return start()
      // A second signal would mean: at once, without saving.
      if (!changed) child.kill('SIGTERM')
      changed = true
    },
  }
}

function onChange(told) {
  let timer
  for (const folder of watched) {
    watch(join(root, folder), { recursive: true }, (_, path) => {
      if (path === null || !isSource(path)) return
      clearTimeout(timer)
      timer = setTimeout(told, quietMilliseconds)
    }).unref()
  }
}

async function main() {
  const { port, webPort, help: asked, rest } = readOptions(process.argv.slice(2))
  if (asked) return void process.stdout.write(help)
  const { path: node } = prepare()
  process.stderr.write(`miStudio: pages with hot reload at http://${host}:${webPort}\n`)
  const serve = [join(root, 'apps/cli/src/main.ts'), 'serve', '--host', host, '--port', port, ...rest]
  const studio = keepRunning({ node, args: serve })
  for (const signal of signals) process.on(signal, () => studio.stop(signal))
  onChange(studio.change)
  const vite = [join(root, 'node_modules/vite/bin/vite.js'), join(root, 'apps/web')]
  const options = ['--host', host, '--port', webPort, '--strictPort', '--logLevel', 'warn']
  const env = { ...process.env, MISTUDIO_URL: `http://${host}:${port}` }
  const code = await runChild({ node, args: [...vite, ...options], env })
  // Without its pages (a port that is taken) there is nothing to stay for.
  studio.finish()
  await studio.ended
  process.exit(code < 128 ? code : 0)
}

if (process.argv[1] === join(root, 'scripts/dev.js')) main().catch(reportAndExit)
