// The formats of SAEs there are, in the order in which a folder is tried. A new one is a folder here and a line below,
// which imports it where it is listed.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '@mistudio/files'
import type { Sae } from '../sae.ts'
import type { SaeDescription, SaeFile, SaeFormat, SaeMetadata } from './format.ts'

// biome-ignore format: a line is a format
export const saeFormats: readonly SaeFormat[] = [
  (await import('./saelens/saelens.ts')).saelens,
]

/** The first is what is written where nobody asks for another format. */
const [defaultFormat] = saeFormats

/** The format of a folder, or undefined if no format recognises it. */
export const saeFormatOf = (dir: string): SaeFormat | undefined =>
  saeFormats.find(format => format.recognise({ dir }))

/**
 * Reads an SAE of any format.
 * @throws InputError naming file, field, found and expected
 * @example
 * const sae = loadSae({ dir: 'data/sae' })
 * console.log(sae.shape.dSae, sae.activation.kind, sae.metadata.modelName)
 */
export const loadSae = ({ dir }: { dir: string }): SaeFile => chosenFor(dir).load({ dir })

/** What an SAE of any format is, without reading its weights. @throws InputError as `loadSae` does */
export const describeSae = ({ dir }: { dir: string }): SaeDescription => chosenFor(dir).describe({ dir })

/** Names of the files to copy with the SAE in a folder. */
export const saeFiles = ({ dir }: { dir: string }): readonly string[] => chosenFor(dir).files({ dir })

/** For an unrecognised folder the default format reports what is missing. */
const chosenFor = (dir: string): SaeFormat => saeFormatOf(dir) ?? defaultFormat

/**
 * Writes the folder atomically: a crash leaves the old one or none.
 * @param options.format default `saelens`
 */
export async function saveSae(options: {
  dir: string
  sae: Sae
  metadata: SaeMetadata
  format?: SaeFormat
}): Promise<void> {
  const { format = defaultFormat, ...rest } = options
  if (format.save === undefined) throw new Error(`SAEs are not written as ${format.name}`)
  await format.save(rest)
}

/**
 * Folders of single SAEs: the one given, or all those in it.
 * @throws InputError for a folder without any
 */
export function saeFoldersIn(dir: string): string[] {
  if (saeFormatOf(dir) !== undefined) return [dir]
  const inside = statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(dir).sort() : []
  const found = inside.map(name => join(dir, name)).filter(path => saeFormatOf(path) !== undefined)
  if (found.length > 0) return found
  throw new InputError({
    message: 'there is no SAE here',
    file: dir,
    field: '--sae',
    found: `no ${saeFormats.flatMap(({ marks }) => marks).join(' or ')}`,
    expected: `${saeFormats.map(({ summary }) => summary).join('; ')}; or a folder that holds such folders`,
  })
}
