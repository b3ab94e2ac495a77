// Ctrl-C and the end of the bootstrap, on real processes.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const signals = new URL('./signals.ts', import.meta.url).href
const main = new URL('../main.ts', import.meta.url)
const model = fileURLToPath(new URL('../../../../assets/demo/model', import.meta.url))

/** A process that says when the first signal came and then works on for ever. */
const program = `
  import { onStopSignals } from ${JSON.stringify(signals)}
  onStopSignals(() => console.log('stop asked'))
  setInterval(() => {}, 1000)
  console.log('ready')
`

function start(): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function line(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', chunk => String(chunk).includes(text) && resolve())
    child.once('exit', () => reject(new Error(`the process ended before it wrote ${text}`)))
  })
}

const ended = (child: ChildProcess) =>
  new Promise<{ code: number | null; signal: string | null }>(resolve =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )

it('asks the job to stop at the first signal and dies of the second', async () => {
  const child = start()
  const end = ended(child)
  await line(child, 'ready')
  const asked = line(child, 'stop asked')
  child.kill('SIGINT')
  await asked
  expect([child.exitCode, child.signalCode]).toEqual([null, null])
  await wait(600)
  child.kill('SIGINT')
  expect(await end).toEqual({ code: null, signal: 'SIGINT' })
})

it('takes one Ctrl-C that comes twice, from the terminal and from the bootstrap, as one', async () => {
  const child = start()
  const end = ended(child)
  await line(child, 'ready')
  const asked = line(child, 'stop asked')
  child.kill('SIGINT')
  await asked
  child.kill('SIGINT')
  await wait(200)
  expect([child.exitCode, child.signalCode]).toEqual([null, null])
  child.kill('SIGKILL')
  await end
})

it('ends a command that has nothing to save, and says what is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mistudio-signals-'))
  const text = join(folder, 'a.jsonl')
  writeFileSync(
    text,
    `${JSON.stringify({ text: 'In the beginning was the word. '.repeat(500) })}\n`.repeat(1000),
  )
  const out = join(folder, 'store')
  const words = ['dataset', 'tokenize', '--model', model, '--text', text, '--context', '64', '--out', out]
  const child = spawn(process.execPath, [fileURLToPath(main), ...words, '--events'])
  let said = ''
  child.stderr.on('data', chunk => (said += chunk))
  const end = ended(child)
  await line(child, 'tokenizing')
  child.kill('SIGINT')
  expect(await end).toEqual({ code: 130, signal: null })
  expect(said).toContain(`mistudio: stopped: ${out} is as it was before\n`)
  expect(readdirSync(folder)).toEqual(['a.jsonl'])
  rmSync(folder, { recursive: true })
})

it('ends the command when the bootstrap is gone, however early', async () => {
  for (const milliseconds of [0, 30, 200]) {
    const child = fork(main, ['doctor'], {
      silent: true,
      env: { ...process.env, MISTUDIO_WATCHED: '1' },
    })
    const end = ended(child)
    await wait(milliseconds)
    child.disconnect()
    expect(await end).toEqual({ code: null, signal: 'SIGKILL' })
  }
})
