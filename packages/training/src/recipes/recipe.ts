// What a recipe is: a family with the settings that a paper or a tool uses, and their source. Data, so that
// single settings can be overridden, and so that the command line and the studio can show what it sets.
import type { Settings } from '../fields.ts'

export type Recipe = {
  /** As `--recipe` takes it. */
  name: string
  /** Wire name. */
  family: string
  /** Where the numbers come from, and which had to be converted. */
  source: string
  /** Settings of the run, of every member and of the family, under their wire names. */
  sets: Settings
}
