// Folders to write into: chosen in the documented order, made where missing, refused with a reason.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InputError } from '@mistudio/files'
import { afterAll, describe, expect, it } from 'vitest'
import { dataFolder, writableFile, writableFolder } from './data_folder.ts'

const folder = mkdtempSync(join(tmpdir(), 'mistudio-folder-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('takes the option, then MISTUDIO_DATA_DIR, then ./data', () => {
  const env = { MISTUDIO_DATA_DIR: join(folder, 'env') }
  expect(dataFolder({ option: 'x', env })).toBe(resolve('x'))
  expect(dataFolder({ option: undefined, env })).toBe(join(folder, 'env'))
  expect(dataFolder({ option: undefined, env: { MISTUDIO_DATA_DIR: '' } })).toBe(resolve('data'))
})

describe('writableFolder', () => {
  it('makes the folder and leaves nothing in it', () => {
    const path = writableFolder({ path: join(folder, 'a', 'b'), field: '--out' })
    expect(readdirSync(path)).toEqual([])
  })

  it('refuses a place below a file, naming option and reason', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const attempt = () => writableFolder({ path: join(file, 'x'), field: '--out' })
    expect(attempt).toThrow(InputError)
    expect(attempt).toThrow(/not writable; file: .*x; field: --out; found: E/)
  })
})

describe('writableFile', () => {
  it('makes the parent, not the file', () => {
    const path = writableFile({ path: join(folder, 'c', 'o.safetensors'), field: '--out' })
    expect([existsSync(join(folder, 'c')), existsSync(path)]).toEqual([true, false])
  })

  it('refuses a folder', () => {
    expect(() => writableFile({ path: folder, field: '--out' })).toThrow(/found: a folder/)
  })
})
