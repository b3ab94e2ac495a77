// The part of `@huggingface/tokenizers` 0.2.0 used here. The package's own declarations import each other
// without file endings, which TypeScript's `nodenext` resolution does not follow.
declare module '@huggingface/tokenizers' {
  export class SplitPreTokenizer {
    constructor(config: { type: 'Split'; pattern: { Regex: string }; behavior: 'Isolated'; invert: boolean })
    pattern: RegExp | null
  }
  export class Tokenizer {
    constructor(tokenizer: object, config: object)
    encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
  }
}
