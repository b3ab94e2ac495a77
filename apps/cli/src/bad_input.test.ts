// Input that fits no model, no store and no folder: each command says what is wrong before it computes anything.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type TokenizeOptions, tokenizeFiles } from '@mistudio/corpus'
import { writeSafetensors } from '@mistudio/files'
import { openTokenizer } from '@mistudio/tokenizer'
import { saveUntrained } from '@mistudio/training'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const program = join(root, 'apps/cli/src/main.ts')
const model = join(root, 'assets/demo/model')
const vocabSize = 8192
const hook = 'blocks.1.hook_resid_post'
const folder = mkdtempSync(join(tmpdir(), 'mistudio-bad-'))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A command that must refuse: exit code 1, nothing on stdout, no stack. @returns what it said */
function refusal(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, MISTUDIO_CACHE_DIR: at('cache') },
  })
  expect({ status, stdout, stderr }).toMatchObject({ status: 1, stdout: '' })
  expect(stderr).not.toContain('    at ')
  return stderr
}

const store = (options: Pick<TokenizeOptions, 'out' | 'tokenizer'> & Partial<TokenizeOptions>) =>
  tokenizeFiles({ files: [at('text.jsonl')], contextSize: 32, ...options })

beforeAll(async () => {
  const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ text: `Document ${i}. `.repeat(20) }))
  writeFileSync(at('text.jsonl'), lines.join('\n'))
  const tokenizer = openTokenizer({ dir: model })
  await store({ out: at('store'), tokenizer })
  await store({ out: at('all_training'), tokenizer, heldOutFraction: 0 })
  await store({ out: at('long'), tokenizer, contextSize: 1024 })
  const larger = { ...tokenizer, vocabSize: vocabSize + 1, encodeIds: () => [1, vocabSize, 2, 3] }
  await store({ out: at('larger'), tokenizer: larger })
  const names = { modelName: 'demo', hookPoint: hook, contextSize: 32 }
  await saveUntrained({ dir: at('sae'), dIn: 256, dSae: 16, k: 2, ...names })
  writeFileSync(at('file'), '')
})

const train = (...more: string[]) => [
  ...['sae', 'train', '--model', model, '--hook', hook, '--d-sae', '64', '--k', '4'],
  ...['--train-tokens', '4096', '--batch-size', '128', ...more],
]
const evaluate = (...more: string[]) => ['sae', 'evaluate', '--sae', at('sae'), '--model', model, ...more]
const extract = (...more: string[]) => ['feature', 'extract', '--sae', at('sae'), '--model', model, ...more]

describe('a token store made for another model is refused before any compute', () => {
  const misfits = [
    [
      'larger',
      `field: vocab_size; found: ${vocabSize + 1}; expected: at most ${vocabSize}, the model's vocab`,
    ],
    ['long', "field: context_size; found: 1024; expected: at most 512, the model's context"],
  ]
  it.each(misfits)('%s', (name, message) => {
    const dataset = ['--dataset', at(name)]
    for (const words of [train, evaluate, extract]) {
      const out = words === evaluate ? [] : ['--out', at('run')]
      const said = refusal(...words(...dataset, ...out))
      expect(said).toContain('the dataset does not fit the model')
      expect(said).toContain(`file: ${at(name)}; ${message}`)
    }
    // The folder was tried, and nothing was written into it.
    expect(readdirSync(at('run'))).toEqual([])
  })

  it('also as one of several', () => {
    const said = refusal(...train('--dataset', at('store'), '--dataset', at('larger'), '--out', at('run')))
    expect(said).toContain('tokenized by different tokenizers')
    for (const store of ['larger', 'store']) expect(said).toContain(`${at(store)}/store.json`)
  })
})

describe('an evaluation', () => {
  const data = () => ['--dataset', at('store')]
  it('of a folder without an SAE names the folder', () => {
    const words = ['sae', 'evaluate', '--sae', at('store'), '--model', model, ...data()]
    expect(refusal(...words)).toMatch(
      /there is no SAE here; file: .*store; field: --sae; found: no cfg\.json/,
    )
  })

  it.each<[string, string, RegExp]>([
    ['no label', '{"text": "a"}', /no labelled text; file: .*probe\.jsonl; line: 1; field: label/],
    ['no JSON', 'nonsense', /no labelled text; file: .*probe\.jsonl; line: 1; field: line; found: nonsense/],
  ])('with labelled texts of %s names the line', (_, line, message) => {
    writeFileSync(at('probe.jsonl'), line)
    const words = evaluate(...data(), '--max-tokens', '64', '--ce-tokens', '0', '--probe', at('probe.jsonl'))
    expect(refusal(...words)).toMatch(message)
  })

  it.each([
    ['no JSON', 'nonsense', /result file cannot be read; file: .*result\.json; field: --results/],
    ['another evaluation', '{"eval_type_id": "scr"}', /SAEBench’s core.*field: eval_type_id; found: "scr"/],
  ])('compared with a result file of %s is refused before any compute', (_, text, message) => {
    writeFileSync(at('result.json'), text)
    const words = ['sae', 'compare', '--sae', at('sae'), '--model', model, ...data()]
    expect(refusal(...words, '--results', at('result.json'))).toMatch(message)
  })
})

describe('a training', () => {
  const data = () => ['--dataset', at('store'), '--out', at('run')]
  it.each([
    [
      'an unknown hook',
      ['--hook', 'blocks.1.hook_nothing'],
      /hook; found: blocks\.1\.hook_nothing; expected: one of .*blocks\.\{0\.\.7\}\.hook_resid_post/,
    ],
    ['k above d_sae', ['--k', '65'], /field: --k; found: 65; expected: at most d-sae, 64/],
    [
      'fewer tokens than a batch',
      ['--batch-size', '1000000'],
      /batch_size; found: 1000000 \(the training split holds \d+ tokens\)/,
    ],
  ])('refuses %s', (_, words, message) => {
    const given = train(...data())
    for (let i = 0; i < words.length; i += 2) given[given.indexOf(words[i]) + 1] = words[i + 1]
    expect(refusal(...given)).toMatch(message)
    expect(existsSync(at('run/training.json'))).toBe(false)
  })
})

describe('data sets', () => {
  const tokenize = (text: string, ...more: string[]) => [
    ...[
      'dataset',
      'tokenize',
      '--model',
      model,
      '--text',
      text,
      '--context',
      '32',
      '--out',
      at('made'),
      ...more,
    ],
  ]

  it('an empty one is refused, with what was found in it', () => {
    writeFileSync(at('empty.jsonl'), '\n{"text": ""}\nno json\n')
    const said = refusal(...tokenize(at('empty.jsonl'), '--skip-bad-lines'))
    expect(said).toContain(`an empty dataset: no whole context to train on; file: ${at('empty.jsonl')}`)
    expect(said).toContain('1 bad lines skipped, 1 empty documents')
    expect(existsSync(at('made'))).toBe(false)
  })

  it('a bad line is named, or counted', () => {
    const good = JSON.stringify({ text: 'one two three '.repeat(40) })
    writeFileSync(at('bad.jsonl'), `${good}\n{"txt": "x"}\n${good}\nno json\n`)
    const said = refusal(...tokenize(at('bad.jsonl')))
    expect(said).toContain(`a line lacks the text field; file: ${at('bad.jsonl')}; line: 2; field: text`)
    const words = tokenize(at('bad.jsonl'), '--skip-bad-lines', '--held-out', '0')
    const { status, stdout } = spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' })
    expect(status).toBe(0)
    expect(stdout).toMatch(/bad lines +2, passed over/)
  })

  it('without a held-out document there is nothing to evaluate on', () => {
    const said = refusal(...evaluate('--dataset', at('all_training')))
    expect(said).toMatch(/the split 'held_out' is empty; file: .*all_training; found: 0 documents/)
  })
})

describe('token ids and prompts', () => {
  it.each([
    [
      'an id beyond the vocabulary',
      [[1], [5, vocabSize]],
      /input_ids\[1\]\[1\]; found: 8192; expected: an integer from 0 to 8191/,
    ],
    [
      'a list beyond the context',
      [new Array(513).fill(1)],
      /input_ids\[0\]; found: 513 tokens; expected: at most 512/,
    ],
  ])('%s', (_, rows, message) => {
    writeFileSync(at('ids.json'), JSON.stringify({ input_ids: rows }))
    const words = ['--model', model, '--input-ids', at('ids.json')]
    for (const runtime of ['cpu', 'oracle']) {
      const run = [
        'model',
        'run',
        ...words,
        '--capture',
        hook,
        '--out',
        at('o.safetensors'),
        '--runtime',
        runtime,
      ]
      expect(refusal(...run)).toMatch(message)
    }
    expect(existsSync(at('o.safetensors'))).toBe(false)
  })

  it('a text longer than the context, and an unknown hook', () => {
    const prompt = 'word '.repeat(600)
    const generate = ['model', 'generate', '--model', model, '--max-new-tokens', '4', '--prompt', prompt]
    expect(refusal(...generate)).toMatch(/do not fit the model's context; field: prompt; found: \d+ tokens/)
    writeFileSync(at('ids.json'), '{"input_ids": [[1, 2]]}')
    const run = ['model', 'run', '--model', model, '--input-ids', at('ids.json'), '--capture', 'hook_x']
    expect(refusal(...run, '--out', at('o.safetensors'))).toMatch(/found: hook_x; expected: one of blocks/)
  })
})

describe('activations to encode', () => {
  const tensor = (name: string, shape: number[]) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n, 1))
    return writeSafetensors({ path: at('x.safetensors'), tensors: [{ name, dtype: 'F32', shape, data }] })
  }
  const encode = ['sae', 'encode', '--sae', at('sae'), '--out', at('o.safetensors'), '--activations']

  it.each<[string, string, number[], RegExp]>([
    [
      'another name',
      'acts',
      [2, 256],
      /field: activations; found: tensors acts; expected: a tensor `activations`/,
    ],
    ['another width', 'activations', [2, 255], /found: \[2,255\]; expected: \[n, 256\]/],
    ['no rows', 'activations', [0, 256], /found: \[0,256\]; expected: \[n, 256\], n > 0/],
    ['three dimensions', 'activations', [1, 2, 256], /found: \[1,2,256\]/],
  ])('of %s are refused', async (_, name, shape, message) => {
    await tensor(name, shape)
    expect(refusal(...encode, at('x.safetensors'))).toMatch(message)
    expect(existsSync(at('o.safetensors'))).toBe(false)
  })

  it('must be there', () => {
    expect(refusal(...encode, at('nothing'))).toContain(at('nothing'))
  })
})

// Below a file nobody can make a folder, whoever runs the test.
it('a place that cannot be written is named before any work, by every command that writes', () => {
  const place = at('file/place')
  writeFileSync(at('ids.json'), '{"input_ids": [[1, 2]]}')
  const commands = [
    ['demo', '--data-dir', place],
    train('--dataset', at('store'), '--out', place),
    extract('--dataset', at('store'), '--out', place),
    ['dataset', 'tokenize', '--model', model, '--text', at('text.jsonl'), '--context', '32', '--out', place],
    ['model', 'run', '--model', model, '--input-ids', at('ids.json'), '--capture', 'all', '--out', place],
    ['sae', 'encode', '--sae', at('sae'), '--activations', at('none'), '--out', place],
  ]
  for (const words of commands) {
    const field = words.includes('--data-dir') ? '--data-dir' : '--out'
    expect(refusal(...words)).toMatch(new RegExp(`not writable; file: .*file.*; field: ${field}; found: E`))
  }
})
