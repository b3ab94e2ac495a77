// The normalisers of a tokenizer.json, each as a function from aligned text to aligned text. Unknown
// ones are rejected: a wrongly normalised text silently gives wrong ids.
import {
  type Aligned,
  alignedWriter,
  characterLength,
  prepend,
  replace,
  slice,
  transform,
} from './aligned.ts'
import { asArray, asFlag, asObject, asString, unknownType } from './json.ts'
import { compilePattern } from './patterns.ts'
import { isOldMark } from './unicode_age.ts'
import { toForm } from './unicode_forms.ts'

export type Normalizer = (aligned: Aligned) => Aligned

const known = [
  'Sequence',
  'NFC',
  'NFD',
  'NFKC',
  'NFKD',
  'Lowercase',
  'Prepend',
  'Replace',
  'Strip',
  'StripAccents',
  'BertNormalizer',
]

/**
 * @param config the `normalizer` of a tokenizer.json, null for none @throws InputError for an unknown type
 */
export function createNormalizer({
  config,
  file,
  field,
}: {
  config: unknown
  file: string
  field: string
}): Normalizer {
  if (config === null || config === undefined) return aligned => aligned
  const settings = asObject(config, { file, field })
  const at = (name: string) => ({ file, field: `${field}.${name}` })
  switch (settings.type) {
    case 'Sequence': {
      const list = asArray(settings.normalizers, at('normalizers'))
      const steps = list.map((step, i) => createNormalizer({ config: step, ...at(`normalizers[${i}]`) }))
      return aligned => steps.reduce((text, step) => step(text), aligned)
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = settings.type
      return aligned => toForm(aligned, form)
    }
    case 'Lowercase':
      return lowercase
    case 'Prepend': {
      const prefix = asString(settings.prepend, at('prepend'))
      return aligned => prepend(aligned, prefix)
    }
    case 'Replace': {
      const pattern = compilePattern({ pattern: settings.pattern, ...at('pattern') })
      const content = asString(settings.content, at('content'))
      return aligned => replace(aligned, pattern, content)
    }
    case 'Strip': {
      const left = asFlag(settings.strip_left, true, at('strip_left'))
      const right = asFlag(settings.strip_right, true, at('strip_right'))
      return aligned => strip(aligned, left, right)
    }
    case 'StripAccents':
      return aligned => keepOnly(aligned, character => !isOldMark(character))
    case 'BertNormalizer':
      return bertNormalizer({
        clean: asFlag(settings.clean_text, true, at('clean_text')),
        chinese: asFlag(settings.handle_chinese_chars, true, at('handle_chinese_chars')),
        // If absent, it follows `lowercase`.
        accents: asFlag(
          settings.strip_accents,
          asFlag(settings.lowercase, true, at('lowercase')),
          at('strip_accents'),
        ),
        lower: asFlag(settings.lowercase, true, at('lowercase')),
      })
    default:
      throw unknownType({ what: 'normaliser', found: settings.type, known, ...at('type') })
  }
}

/** Character by character: no rule looks at neighbours (a final sigma stays σ), as in the Rust crate. */
function lowercase(aligned: Aligned): Aligned {
  if (aligned.text.toLowerCase() === aligned.text) return aligned
  const edits = Array.from(aligned.text).flatMap(character =>
    Array.from(character.toLowerCase(), (text, i) => ({ text, change: i > 0 ? 1 : 0 })),
  )
  return transform(aligned, edits)
}

function strip(aligned: Aligned, left: boolean, right: boolean): Aligned {
  const { text } = aligned
  const start = left ? /^\p{White_Space}*/u.exec(text)![0].length : 0
  let end = text.length
  while (right && end > start && /\p{White_Space}/u.test(text[end - 1])) end--
  return start === 0 && end === text.length ? aligned : slice(aligned, start, end)
}

function keepOnly(aligned: Aligned, keep: (character: string) => boolean): Aligned {
  const writer = alignedWriter(aligned.base)
  const { text } = aligned
  for (let i = 0; i < text.length; i += characterLength(text, i)) {
    const end = i + characterLength(text, i)
    if (keep(text.slice(i, end))) writer.copy(aligned, i, end)
  }
  return writer.done()
}

type BertOptions = { clean: boolean; chinese: boolean; accents: boolean; lower: boolean }

function bertNormalizer({ clean, chinese, accents, lower }: BertOptions): Normalizer {
  return aligned => {
    let result = aligned
    if (clean) {
      result = keepOnly(result, character => !/(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\ufffd]/u.test(character))
      result = replace(result, /\p{White_Space}/gu, ' ')
    }
    if (chinese) {
      const edits = Array.from(result.text).flatMap(text =>
        isChinese(text.codePointAt(0)!)
          ? [
              { text: ' ', change: 0 },
              { text, change: 1 },
              { text: ' ', change: 1 },
            ]
          : [{ text, change: 0 }],
      )
      result = transform(result, edits)
    }
    if (accents)
      result = keepOnly(
        toForm(result, 'NFD'),
        character => !(/\p{Mn}/u.test(character) && isOldMark(character)),
      )
    return lower ? lowercase(result) : result
  }
}

// The ideograph blocks BERT sets apart (google-research/bert, tokenization.py).
const chineseBlocks = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
]
const isChinese = (code: number): boolean =>
  chineseBlocks.some(([first, last]) => code >= first && code <= last)
