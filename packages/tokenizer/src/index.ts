// The public face of @mistudio/tokenizer.
export { openTokenizer, type Tokenizer } from './tokenizer.ts'
