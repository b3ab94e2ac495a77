// The command as a person calls it: a process with a command line, an exit code and two streams.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '@mistudio/files'
import { afterAll, describe, expect, it } from 'vitest'
import { commands } from './commands.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const model = join(root, 'assets/demo/model')
const folder = mkdtempSync(join(tmpdir(), 'mistudio-cli-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function mistudio(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin/mistudio'), ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, MISTUDIO_DATA_DIR: '', MISTUDIO_CACHE_DIR: join(folder, 'cache') },
  })
  return { status, stdout, stderr }
}

describe('help', () => {
  it('lists every command', () => {
    const { status, stdout, stderr } = mistudio('--help')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const { name, summary } of commands) {
      expect(stdout.split('\n').some(line => line.startsWith(`  ${name} `) && line.endsWith(summary))).toBe(
        true,
      )
    }
    expect(mistudio().stdout).toBe(stdout)
  })

  it('is there for each command, also beside other options, and for a group', () => {
    const { status, stdout } = mistudio('sae', 'train', '--model', 'x', '--help')
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /Usage: mistudio sae train --model DIR… .*--hook HOOK,HOOK… .*\[--k K\] .*\[--resume\]/,
    )
    expect(mistudio('sae', '--help').stdout).toContain('sae encode')
  })

  it('names each option of each command in its own help', async () => {
    const { helpOfCommand } = await import('./frame/help.ts')
    const { optionsOf } = await import('./frame/command.ts')
    for (const command of commands) {
      const text = helpOfCommand({ command })
      for (const option of Object.keys(optionsOf(command))) {
        expect(text).toContain(`--${option}`)
      }
    }
  })
})

describe('bad usage ends with 2 and names what is wrong', () => {
  it.each([
    [['trian'], 'there is no command `trian`'],
    [['doctr'], 'did you mean `doctor`?'],
    [['sae', 'trian'], 'there is no command `sae trian`; expected: `sae '],
    [['sae'], '`sae` is no command by itself'],
    [['--quiet', 'demo'], 'there is no option `--quiet` before a command'],
    [['demo', '--dta-dir', 'x'], '`demo` has no option --dta-dir; did you mean --data-dir?'],
    [['model', 'info'], '`model info` needs --model DIR'],
    [
      ['model', 'generate', '--model', 'm', '--max-new-tokens', '4'],
      'needs either --prompt TEXT or --input-ids',
    ],
  ])('%j', (words, message) => {
    const { status, stdout, stderr } = mistudio(...words)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain(message)
  })
})

describe('doctor', () => {
  it('tries everything and reports figures', () => {
    const { status, stdout } = mistudio('doctor', '--json', '--data-dir', join(folder, 'new', 'data'))
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ ok: true })
    expect(status).toBe(0)
    const found = Object.fromEntries(report.checks.map((check: { name: string }) => [check.name, check]))
    expect(found['ONNX Runtime'].values.gemm_gflops).toBeGreaterThan(0)
    expect(found['worker pool'].values.threads).toBeGreaterThan(0)
    expect(found.DuckDB.values.version).toMatch(/\d+\.\d+/)
    expect(found['data folder'].values.free_bytes).toBeGreaterThan(0)
  })

  it('ends with 1 when the data folder cannot be written', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const { status, stdout } = mistudio('doctor', '--data-dir', join(file, 'data'))
    expect(status).toBe(1)
    expect(stdout).toMatch(/FAILED {2}data folder .*not writable.*--data-dir/)
  })
})

describe('model', () => {
  it('info describes the demo model', () => {
    const info = JSON.parse(mistudio('model', 'info', '--model', model, '--json').stdout)
    expect(info).toMatchObject({ n_layers: 8, d_model: 256, vocab_size: 8192, parameters: 7_901_440 })
    expect(info.hook_points).toContainEqual({ name: 'blocks.4.hook_resid_post', width: 256 })
    expect(mistudio('model', 'info', '--model', model).stdout).toContain('7,901,440')
  })

  it('info names the folder that holds no model', () => {
    const { status, stdout, stderr } = mistudio('model', 'info', '--model', folder, '--json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('config.json')
    expect(stderr).not.toContain('    at ')
  })

  it('run writes logits and the hooks asked for, the same on both runtimes', () => {
    const ids = join(folder, 'ids.json')
    writeFileSync(ids, JSON.stringify({ input_ids: [[0, 5, 6, 7, 8]] }))
    const written = ['cpu', 'oracle'].map(runtime => {
      const out = join(folder, `${runtime}.safetensors`)
      const words = ['--model', model, '--input-ids', ids, '--capture', 'blocks.1.hook_resid_post']
      const { status, stderr } = mistudio('model', 'run', ...words, '--out', out, '--runtime', runtime)
      expect({ status, stderr }).toMatchObject({ status: 0 })
      const file = openSafetensors(out)
      expect([...file.tensors.keys()].sort()).toEqual(['blocks.1.hook_resid_post', 'logits'])
      const values = file.readF32('blocks.1.hook_resid_post')
      file.close()
      return values
    })
    expect(written[0].length).toBe(5 * 256)
    const worst = Math.max(...written[0].map((value, i) => Math.abs(value - written[1][i])))
    expect(worst).toBeGreaterThan(0)
    expect(worst).toBeLessThan(1e-4)
  })

  it.each([
    ['{"input_ids": [[0, 8192]]}', 'input_ids[0][1]'],
    ['{"ids": []}', 'found: nothing'],
    ['not json', 'the file is not JSON'],
  ])('run refuses %s', (content, message) => {
    const ids = join(folder, 'bad.json')
    const out = join(folder, 'bad.safetensors')
    writeFileSync(ids, content)
    const words = ['--model', model, '--input-ids', ids, '--capture', 'all', '--out', out]
    const { status, stderr } = mistudio('model', 'run', ...words)
    expect(status).toBe(1)
    expect(stderr).toContain(message)
    expect(existsSync(out)).toBe(false)
  })
})

describe('model generate', () => {
  const words = ['model', 'generate', '--model', model]

  it("continues the demo golden's prompt as transformers did", () => {
    const golden = openSafetensors(join(root, 'assets/demo/golden.safetensors'))
    const greedy = Array.from(golden.read('greedy').data, Number)
    golden.close()
    const ids = join(folder, 'prompt.json')
    writeFileSync(ids, JSON.stringify({ input_ids: [greedy.slice(0, 12)] }))
    const { status, stdout } = mistudio(...words, '--input-ids', ids, '--max-new-tokens', '24', '--json')
    expect(status).toBe(0)
    const result = JSON.parse(stdout)
    expect(Object.keys(result)).toEqual(['input_ids', 'output_ids', 'text'])
    expect([...result.input_ids, ...result.output_ids]).toEqual(greedy)
  })

  it('prints the prompt and its continuation; a seed draws the same text again', () => {
    const sampled = [
      ...words,
      '--prompt',
      'In the beginning',
      '--max-new-tokens',
      '8',
      '--temperature',
      '0.9',
    ]
    const texts = ['1', '1', '2', '3'].map(seed => mistudio(...sampled, '--seed', seed).stdout)
    expect(texts[0]).toMatch(/^In the beginning./)
    expect(texts[1]).toBe(texts[0])
    expect(new Set(texts).size).toBeGreaterThan(1)
  })

  it.each([
    ['[[1], [2]]', 'one prompt at a time', '2 lists'],
    [JSON.stringify([new Array(600).fill(1)]), 'context', '512'],
    ['[[-1]]', 'vocabulary', '-1'],
  ])('refuses token ids that cannot be a prompt, %#', (rows, message, found) => {
    const ids = join(folder, 'bad_prompt.json')
    writeFileSync(ids, `{"input_ids": ${rows}}`)
    const { status, stderr } = mistudio(...words, '--input-ids', ids, '--max-new-tokens', '4')
    expect(status).toBe(1)
    expect(stderr).toContain(message)
    expect(stderr).toContain(found)
  })
})

describe('files', () => {
  it('refuses a run whose k exceeds d_sae before it opens anything', () => {
    const words = ['--model', 'none', '--dataset', 'none', '--hook', 'h', '--d-sae', '8', '--k', '9']
    const { status, stderr } = mistudio('sae', 'train', ...words, '--train-tokens', '10', '--out', 'run')
    expect(status).toBe(1)
    expect(stderr).toContain('k exceeds d_sae; field: --k; found: 9; expected: at most d-sae, 8')
  })

  it('names the SAE folder that holds none', () => {
    const { status, stderr } = mistudio('sae', 'encode', '--sae', 'none', '--activations', 'a', '--out', 'o')
    expect(status).toBe(1)
    expect(stderr).toContain('there is no SAE here; file: none; field: --sae')
  })
})

it('prints the version that package.json names', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(mistudio('--version').stdout).toContain(`mistudio ${version}`)
})
