// What the address of a training holds: whether its import dialog is open.
import { importDialogIn, type RawSearch } from '../../parts/address.ts'

export const trainingSearch = (raw: RawSearch) => ({ dialog: importDialogIn(raw.dialog) })
