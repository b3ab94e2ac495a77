// The public face of @mistudio/corpus.
export * from './held_out.ts'
export * from './order.ts'
export * from './read_text.ts'
export type { SplitInfo, SplitName, TokenStoreInfo } from './store_format.ts'
export { splitNames } from './store_format.ts'
export * from './text_tokenizer.ts'
export * from './token_store.ts'
export * from './tokenize_files.ts'
