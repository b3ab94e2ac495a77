// What the address of the SAEs page holds: the search, and the import dialog with the training it starts from.
import { importDialogIn, type RawSearch, textIn } from '../../parts/address.ts'

export const saesSearch = (raw: RawSearch) => ({
  search: textIn(raw.search),
  dialog: importDialogIn(raw.dialog),
  training: textIn(raw.training),
})
