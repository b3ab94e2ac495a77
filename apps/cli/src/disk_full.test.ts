// A disk that is full in the middle of a checkpoint. The limit on a file's size is the operating system's own: the
// write that passes it ends in the middle, as on a full disk, and needs neither rights nor another disk.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readCheckpoint } from '@mistudio/training'
import { afterAll, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const program = join(root, 'apps/cli/src/main.ts')
const model = join(root, 'assets/demo/model')
const folder = mkdtempSync(join(tmpdir(), 'mistudio-full-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hooks = ['blocks.0.hook_resid_post', 'blocks.0.hook_mlp_out']
const env = { ...process.env, MISTUDIO_CACHE_DIR: at('cache') }
/** A file of the checkpoint has 768 KiB; `ulimit` counts blocks of 512 bytes. */
const limitBlocks = String((512 * 1024) / 512)

const words = (out: string, ...more: string[]) => [
  program,
  ...['sae', 'train', '--model', model, '--dataset', at('store'), '--hook', hooks.join(',')],
  ...['--d-sae', '128', '--k', '8', '--train-tokens', '20000', '--batch-size', '256'],
  ...['--checkpoint-every', '20', '--events', '--out', at(out), ...more],
]

function run(...given: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, given, { env, encoding: 'utf8' })
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
}

/** Ctrl-C at the first checkpoint: it saves another one and ends. */
async function stopAtCheckpoint(given: string[]): Promise<void> {
  const child = spawn(process.execPath, given, { env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise(resolve => child.on('close', resolve))
  child.stdout.on('data', text => {
    if (String(text).includes('training:checkpoint')) child.kill('SIGINT')
  })
  await ended
}

/** Files with their bytes, and folders. */
const everything = (dir: string) =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true }).map(entry => {
      const path = join(entry.parentPath, entry.name)
      return [path, entry.isFile() ? readFileSync(path) : 'a folder']
    }),
  )

it('leaves the checkpoint before it whole, names the file, and a resume ends with the same bits', async () => {
  const lines = Array.from({ length: 60 }, (_, i) =>
    JSON.stringify({ text: `Document ${i}: ${'In the beginning was the word. '.repeat(20 + i)}` }),
  )
  writeFileSync(at('text.jsonl'), lines.join('\n'))
  const tokenize = ['dataset', 'tokenize', '--model', model, '--text', at('text.jsonl'), '--context', '32']
  run(program, ...tokenize, '--out', at('store'))
  run(...words('whole'))
  await stopAtCheckpoint(words('cut'))
  const before = everything(at('cut'))
  const step = readCheckpoint({ out: at('cut') })!.state.step
  expect(step).toBeGreaterThan(0)

  const shell = ['-c', 'ulimit -f "$0" && exec "$@"', limitBlocks, process.execPath]
  const full = spawnSync('sh', [...shell, ...words('cut', '--resume')], { env, encoding: 'utf8' })
  expect(full.status).toBe(1)
  const next = 20 * (Math.floor(step / 20) + 1)
  const file = at(`cut/checkpoints/${next}/${hooks[0]}.safetensors`)
  expect(full.stderr).toContain(`the file is larger than the system allows; file: ${file}; found: EFBIG`)
  expect(full.stdout).not.toContain('training:checkpoint')

  expect(everything(at('cut'))).toEqual(before)
  const kept = readCheckpoint({ out: at('cut') })
  expect(kept?.state.step).toBe(step)
  expect(kept?.tensorsOf(hooks[0]).get('W_enc')).toHaveLength(128 * 256)

  run(...words('cut', '--resume'))
  expect(existsSync(at('cut/checkpoints'))).toBe(false)
  for (const hook of hooks) {
    const weights = (out: string) => readFileSync(at(`${out}/${hook}/sae_weights.safetensors`))
    expect(weights('cut').equals(weights('whole'))).toBe(true)
  }
})
