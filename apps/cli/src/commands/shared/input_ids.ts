// `{"input_ids": [[…], …]}` files. The ids themselves are judged by the model (packages/model, token_ids.ts).
import { readFileSync, statSync } from 'node:fs'
import { InputError } from '@mistudio/files'

/** Far above any model's context; a file is read whole. */
const largestFileBytes = 256 * 1024 * 1024

/** @returns the rows, not yet checked. @throws InputError naming the file, what was found and what is expected */
export function readInputIds({ file }: { file: string }): number[][] {
  const expected = '{"input_ids": [[…], …]}'
  const stat = statSync(file, { throwIfNoEntry: false })
  if (!stat?.isFile()) {
    throw new InputError({ message: 'there is no such file', file, field: '--input-ids', expected })
  }
  if (stat.size > largestFileBytes) {
    throw new InputError({
      message: 'the file is too large',
      file,
      found: `${stat.size} bytes`,
      expected: `at most ${largestFileBytes} bytes`,
    })
  }
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new InputError({ message: 'the file is not JSON', file, found: String(error), expected })
  }
  const isObject = typeof content === 'object' && content !== null && !Array.isArray(content)
  const rows = isObject ? (content as Record<string, unknown>).input_ids : content
  if (!isObject || !Array.isArray(rows) || rows.length === 0 || !rows.every(Array.isArray)) {
    const text = JSON.stringify(rows) ?? 'nothing'
    const found = text.length > 80 ? `${text.slice(0, 80)}…` : text
    throw new InputError({
      message: 'the file holds no token ids',
      file,
      field: 'input_ids',
      found,
      expected,
    })
  }
  return rows
}
