// The words of a window and their parts of speech, by wink-nlp with its packaged English model: about 20,000 windows
// a second, nothing downloaded. The library is loaded when a tagger is created, since most users of this package
// never need it.
import { createRequire } from 'node:module'
import type { Model, PartOfSpeech, WinkMethods } from 'wink-nlp'

/** A word, number, punctuation or line break; `[start, end)` in the text, UTF-16 units. */
export type Word = { text: string; start: number; end: number; tag: PartOfSpeech; stop: boolean }

export type Tagger = {
  /** In text order; white space other than tabs and line breaks belongs to no word. */
  words(text: string): Word[]
  /** Forgets every word that is not in the model, so that results do not depend on earlier texts. */
  forget(): void
}

/** The part of wink's model that grows: unknown words it has met. */
type Lexemes = { list: string[]; hash: Record<string, number> }

/** Words met before their memory is recreated. */
const wordsMetAtMost = 200_000

export function createTagger(): Tagger {
  const require = createRequire(import.meta.url)
  const winkNlp = require('wink-nlp') as (model: Model, pipe: string[]) => WinkMethods
  const model = require('wink-eng-lite-web-model') as Model & { core(): unknown }
  let wink: WinkMethods
  let lexemes: Lexemes
  let known: number
  let met: number

  function open(): void {
    // wink splits `server's` in two only if it met `server` before. Hence `forget`.
    const core = () => {
      const loaded = model.core() as { features: { lexeme: Lexemes } }
      lexemes = loaded.features.lexeme
      return loaded
    }
    wink = winkNlp({ ...model, core } as Model, ['sbd', 'pos'])
    known = lexemes.list.length
    met = known
  }
  open()

  return {
    words(text) {
      const { its } = wink
      const tokens = wink.readDoc(text).tokens()
      const values = tokens.out(its.value) as string[]
      const tags = tokens.out(its.pos) as PartOfSpeech[]
      const stops = tokens.out(its.stopWordFlag) as boolean[]
      let at = 0
      const words = values.map((value, i): Word => {
        // Only white space is between two tokens, so the next match is the right one.
        const start = text.indexOf(value, at)
        at = start + value.length
        return { text: value, start, end: at, tag: tags[i], stop: stops[i] }
      })
      return joinNames(words)
    },
    forget() {
      for (; met < lexemes.list.length; met++) delete lexemes.hash[lexemes.list[met]]
      if (met - known > wordsMetAtMost) open()
    },
  }
}

/** Names in code contain underscores, where wink cuts: `foo_bar` is one word. */
function joinNames(words: readonly Word[]): Word[] {
  const joined: Word[] = []
  for (const word of words) {
    const before = joined.at(-1)
    if (before === undefined || !isOneName(before, word)) {
      joined.push(word)
      continue
    }
    const { text, start, tag } = before
    const named = /[^_]/.test(text) ? tag : word.tag
    joined[joined.length - 1] = { text: text + word.text, start, end: word.end, tag: named, stop: false }
  }
  return joined
}

const ofName = /^[\p{L}\p{N}_]+$/u

const isOneName = (a: Word, b: Word) =>
  a.end === b.start &&
  (a.text.endsWith('_') || b.text.startsWith('_')) &&
  ofName.test(a.text) &&
  ofName.test(b.text)
