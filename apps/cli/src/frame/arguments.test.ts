// Parsing by the option table: every way to be wrong is named, every right form gives the typed value.
import { describe, expect, it } from 'vitest'
import { nearest, parseOptions } from './arguments.ts'
import { type OptionTable, UsageError } from './option_table.ts'

const table = {
  model: { kind: 'path', value: 'DIR', required: true, help: 'model' },
  text: { kind: 'paths', value: 'FILE…', help: 'files' },
  hook: { kind: 'texts', value: 'HOOK,HOOK…', help: 'hooks' },
  k: { kind: 'integer', min: 1, max: 64, default: 32, help: 'k' },
  temperature: { kind: 'number', min: 0, help: 'temperature' },
  runtime: { kind: 'text', choices: ['cpu', 'oracle'], default: 'cpu', help: 'runtime' },
  resume: { kind: 'flag', help: 'resume' },
} as const satisfies OptionTable

const parse = (...words: string[]) => parseOptions({ command: 'sae train', table, words })
const parseModel = (...words: string[]) => parse('--model', 'm', ...words)

describe('parseOptions', () => {
  it('fills in what is not given', () => {
    expect(parseModel()).toEqual({
      model: 'm',
      text: undefined,
      hook: undefined,
      k: 32,
      temperature: undefined,
      runtime: 'cpu',
      resume: false,
    })
  })

  it('takes several paths after one option, and the option again', () => {
    expect(parseModel('--text', 'a', 'b', '--resume', '--text=c').text).toEqual(['a', 'b', 'c'])
  })

  it('takes lists with commas, each word once', () => {
    expect(parseModel('--hook', 'a,b', '--hook', 'b, c').hook).toEqual(['a', 'b', 'c'])
  })

  it('reads numbers', () => {
    expect(parseModel('--k', '1_0', '--temperature', '7e-1')).toMatchObject({ k: 10, temperature: 0.7 })
  })

  it.each([
    [[], '`sae train` needs --model DIR'],
    [['--model', 'm', '--modle', 'x'], '`sae train` has no option --modle; did you mean --model?'],
    [['--model', 'm', '--quux'], '`sae train` has no option --quux'],
    [['--model', 'm', '-k', '3'], '`sae train` has no option -k; did you mean --k?'],
    [['--model', 'm', 'stray'], '`sae train` does not know what to do with `stray`'],
    [['--model', 'm', '--resume', 'stray'], '`sae train` does not know what to do with `stray`'],
    [['--model', '--resume'], '--model needs a value: --model DIR'],
    [['--model'], '--model needs a value: --model DIR'],
    [['--model='], '--model cannot be used; found: ``; expected: a path'],
    [['--model', 'm', '--model', 'n'], '--model is given twice; expected: once'],
    [['--model', 'm', '--resume=yes'], '--resume takes no value; found: `yes`'],
    [['--model', 'm', '--k', '0'], '--k cannot be used; found: `0`; expected: a whole number from 1 to 64'],
    [
      ['--model', 'm', '--k', '1.5'],
      '--k cannot be used; found: `1.5`; expected: a whole number from 1 to 64',
    ],
    [
      ['--model', 'm', '--k', '0x10'],
      '--k cannot be used; found: `0x10`; expected: a whole number from 1 to 64',
    ],
    [
      ['--model', 'm', '--temperature', '-1'],
      '--temperature cannot be used; found: `-1`; expected: a number, 0 or more',
    ],
    [['--model', 'm', '--runtime', 'gpu'], '--runtime cannot be used; found: `gpu`; expected: cpu or oracle'],
    [
      ['--model', 'm', '--hook', 'a,,b'],
      '--hook cannot be used; found: `a,,b`; expected: HOOK,HOOK…, separated by commas',
    ],
  ])('refuses %j', (words, message) => {
    expect(() => parse(...words)).toThrow(new UsageError(message))
  })

  it('knows no option by the names that every object has', () => {
    expect(() => parseModel('--constructor', 'x')).toThrow('has no option --constructor')
    expect(() => parseModel('--__proto__', 'x')).toThrow('has no option --__proto__')
  })
})

it('finds the nearest word, and none where nothing is near', () => {
  expect(nearest('trian', ['train', 'encode'])).toBe('train')
  expect(nearest('xyz', ['train', 'encode'])).toBeUndefined()
})
